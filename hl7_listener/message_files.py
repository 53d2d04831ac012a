r"""Files that hold messages: one message, many, MLLP frames, a batch, or a folder of such files.

What a file is shows in its bytes. VT at its start: MLLP frames, of which the payloads count. Otherwise a message starts
wherever a line starts with ``MSH`` and a field separator; the lines of a batch (FHS, BHS, BTS, FTS; HL7 2.5.1 chapter
2.10.3) are taken away. A file without any ``MSH`` is one message all the same: whoever names it wants its bytes sent.

Bytes are handed on as they are, terminators included, for a replay is only worth something if it is exact.
:func:`normalised` gives the form that the standard asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SUFFIXES: Final = frozenset({".hl7", ".er7", ".txt", ".msg", ".mllp", ".adt", ".dat"})
"""Endings of the files that are looked at in a folder; a file that is named itself may end in anything."""

_FRAME: Final = re.compile(rb"\x0b([^\x0b]*?)\x1c", re.DOTALL)
_MESSAGE_START: Final = re.compile(rb"(?:(?<=[\r\n])|\A)(?=MSH[^A-Za-z0-9\r\n])")
_BATCH_LINE: Final = re.compile(rb"(?:(?<=[\r\n])|\A)(?:FHS|BHS|BTS|FTS)(?:[^A-Za-z0-9\r\n][^\r\n]*)?(?:\r\n|\r|\n|\Z)")
_SEGMENT_BREAK: Final = re.compile(rb"\n(?=[A-Z][A-Z0-9]{2}[^A-Za-z0-9\r\n]|\Z)")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class CutShort(ValueError):
    """A capture of MLLP frames in which so many (``count``) were begun and not ended: nobody knows what they were."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


def read_messages(path: Path, *, normalise: bool = False) -> Iterator[bytes]:
    """Give the messages of a file, or of the files of a folder and its subfolders in the order of their names.

    ``normalise`` ends segments in CR, whatever the file has. Raises OSError when something cannot be read, and
    CutShort as :func:`split_messages` does.
    """
    for file in _files(path):
        for message in split_messages(file.read_bytes()):
            yield normalised(message) if normalise else message


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    yield from (file for file in sorted(path.rglob("*")) if file.is_file() and file.suffix.lower() in SUFFIXES)


def split_messages(content: bytes) -> Iterator[bytes]:
    """Give the messages in the bytes of one file, in their order. A file of blanks holds none.

    Raises CutShort behind the whole frames of a capture where others were begun and not ended.
    """
    if content.lstrip(b"\r\n\0 \t")[:1] == b"\x0b":
        frames = [match[1] for match in _FRAME.finditer(content)]
        yield from frames
        if cut := content.count(b"\x0b") - len(frames):
            raise CutShort(cut)
        return
    content = content.removeprefix(_BYTE_ORDER_MARK)
    starts = [match.start() for match in _MESSAGE_START.finditer(content)]
    if len(starts) == 1 and starts[0] == 0 and not _BATCH_LINE.search(content):
        yield content
    elif starts:
        for start, end in zip(starts, [*starts[1:], len(content)], strict=True):
            yield _without_blank_lines(_BATCH_LINE.sub(b"", content[start:end]))
    elif content.strip():
        yield content


def _without_blank_lines(message: bytes) -> bytes:
    """Keep one terminator at the end: what stood between two messages belongs to neither."""
    body = message.rstrip(b"\r\n")
    end = message[len(body) :]
    return body + (end[:2] if end.startswith(b"\r\n") else end[:1])


def normalised(message: bytes) -> bytes:
    """End every segment in CR.

    Where a message has any CR, an LF ends a segment only if something like a segment follows; else it is text of the
    field, as senders of long comments write it.
    """
    unified = message.replace(b"\r\n", b"\r")
    if b"\r" not in unified:
        return unified.replace(b"\n", b"\r")
    return _SEGMENT_BREAK.sub(b"\r", unified.replace(b"\n\r", b"\r"))

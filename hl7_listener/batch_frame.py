r"""A batch in one frame: ``FHS``/``BHS`` in front of messages, ``BTS``/``FTS`` behind (HL7 2.5.1 chapter 2.10.3).

The frame is taken apart into its messages, each with its own bytes, so that everything behind this module sees
messages as ever; what it adds is who belongs together. Where a batch says how many messages it has (BTS-1) or a file
how many batches (FTS-1), and has not, something got lost on the way, and none of it is applied: a batch is whole or it
is sent again. Envelopes may be left out in part, and more than one batch may follow in a frame.

What stands in a batch and is no message is a part all the same, and is answered as the unreadable message that it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from hl7_listener.delimiters import Delimiters
from hl7_listener.header import Header, delimiters_of
from patient_records.model import Masked

MOST_IN_BATCH: Final = 10_000
"""Messages, or batches, in one frame: they are one transaction of some seconds, and everybody else waits meanwhile."""

INCOMPLETE_BATCH: Final = "incomplete_batch"
"""The rule in the finding that every message of a batch has that lost something on the way, whatever else it is."""

_BLANKS: Final = b" \t\r\n\0\x0b\x1c"
_START: Final = re.compile(rb"[FB]HS(?=[^A-Za-z0-9])", re.IGNORECASE)
_BEFORE: Final = _BLANKS + b"\xef\xbb\xbf"
_MARK: Final = re.compile(rb"(?:\A|(?<=[\r\n]))[ \t]*(FHS|BHS|MSH|BTS|FTS)(?=[^A-Za-z0-9]|\Z)", re.IGNORECASE)
_LINE_END: Final = re.compile(rb"[\r\n]")
_NULL: Final = b'""'
_CONTROL_ID: Final = 11


class Part(Masked, Struct, frozen=True):
    """One message of a batch: its bytes, where in the payload they begin, and in which batch of the frame it is."""

    raw: bytes
    offset: int
    batch: int


class BatchFrame(Masked, Struct, frozen=True):
    """A frame that held a batch, or a file of several.

    ``file_line`` is FHS, empty where there is none; ``lines`` the BHS of each batch. ``fault`` says why none of it can
    be applied: ``batch count``, ``file count``, ``too many messages``; empty: nothing is wrong with the whole.
    """

    file_line: bytes
    lines: tuple[bytes, ...]
    parts: tuple[Part, ...]
    fault: str = ""

    @property
    def header(self) -> Header:
        """What the first envelope says, in the form of a message's header: for answers to the whole."""
        return envelope_header(next((line for line in self.lines if line), self.file_line))

    @property
    def fault_place(self) -> str:
        """The field that the fault is about; empty where it is none's."""
        return {"batch count": "BTS-1", "file count": "FTS-1"}.get(self.fault, "")


class Joined(Masked, Struct, frozen=True):
    """The place of a message among those of its frame, counted from 0."""

    frame: BatchFrame
    place: int

    @property
    def last(self) -> bool:
        """Whether no other message of its frame follows."""
        return self.place + 1 >= len(self.frame.parts)


def is_batch(payload: bytes) -> bool:
    """Whether a frame holds a batch rather than a message."""
    return _START.match(payload.lstrip(_BEFORE)) is not None


def take_apart(payload: bytes) -> BatchFrame:
    """Find the messages of a batch, and what is wrong with it. Never raises; linear in the payload."""
    taking = _Taking()
    for kind, start, end in _pieces(payload):
        if kind == b"MSH":
            taking.message(payload[start:end], start)
        else:
            line_end = _LINE_END.search(payload, start, end)
            stop = line_end.start() if line_end else end
            taking.envelope(kind, payload[start:stop].lstrip())
            if payload[stop:end].strip(_BLANKS):
                taking.stray(payload[stop:end], stop)
        if max(len(taking.parts), len(taking.lines)) > MOST_IN_BATCH:
            return BatchFrame(taking.file_line, tuple(taking.lines), (), "too many messages")
    return BatchFrame(taking.file_line, tuple(taking.lines), tuple(taking.parts), taking.fault)


def _pieces(payload: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Give each line that opens something: what it is, where it begins, and where the next one does."""
    before: tuple[bytes, int] | None = None
    for found in _MARK.finditer(payload):
        if before is not None:
            yield (*before, found.start())
        before = (found[1].upper(), found.start())
    if before is not None:
        yield (*before, len(payload))


class _Taking:
    """What was found so far."""

    def __init__(self) -> None:
        self.file_line = b""
        self.lines: list[bytes] = []
        self.parts: list[Part] = []
        self.fault = ""
        self._in_batch = 0
        self._open = False

    def message(self, raw: bytes, offset: int) -> None:
        if not self._open:
            self._begin(b"")
        self._in_batch += 1
        self.stray(raw, offset)

    def stray(self, raw: bytes, offset: int) -> None:
        if not self.lines:
            self._begin(b"")
        self.parts.append(Part(raw, offset, len(self.lines) - 1))

    def envelope(self, kind: bytes, line: bytes) -> None:
        if kind == b"FHS":
            self.file_line = self.file_line or line
        elif kind == b"BHS":
            self._begin(line)
        elif kind == b"BTS":
            self._open = False
            if not _agrees(line, self._in_batch):
                self.fault = self.fault or "batch count"
            self._in_batch = 0
        elif not _agrees(line, len(self.lines)):
            self.fault = self.fault or "file count"

    def _begin(self, line: bytes) -> None:
        self.lines.append(line)
        self._in_batch, self._open = 0, True


def _agrees(line: bytes, count: int) -> bool:
    """Whether the first field of a trailer, where it is valued, is that number."""
    said = (line.split(line[3:4], 2)[1:2] or [b""])[0].strip() if len(line) > 3 else b""  # noqa: PLR2004 (BTS)
    return said in (b"", _NULL) or (said.lstrip(b"0") or b"0") == str(count).encode()


def envelope_header(line: bytes) -> Header:
    """Read FHS or BHS as a header: its first seven fields are those of MSH, its control id is field 11."""
    text = line.decode("latin-1")
    delimiters = delimiters_of(text) if len(text) > 3 else Delimiters()  # noqa: PLR2004 (the id and its delimiter)
    fields = text.split(delimiters.field)[: _CONTROL_ID + 1]
    fields += [""] * (_CONTROL_ID + 1 - len(fields))
    return Header(
        delimiters,
        fields[2],
        fields[3],
        fields[4],
        fields[5],
        fields[6].strip(),
        control_id=fields[_CONTROL_ID - 1],
        charset="latin-1",
    )

r"""Our own lazy reader of ER7 text: it does what the way to the acknowledgment needs, and nothing else.

The message stays one string. A segment is found by searching for its id, its fields are split when the segment is
asked for, a field's parts when they are. So the cost follows the questions, not the size of the message, and nothing
that a sender can write makes it more than linear in time or more than a small multiple in memory: every split is
bounded by what was asked for, repetitions and components by a limit.

Real messages are mended on the way in, and only where they need it (a plain one costs two searches):

* blanks, BOM, VT, FS and NUL around the message are ignored, and so are blanks before a segment id;
* a segment ends with CR. Where there is any CR, an LF next to one is dropped, and another LF ends a segment only when
  a segment id and a field separator follow; else it is text of its field. Where there is no CR, every LF ends one;
* segment ids may be in lower case.

Three states of a value (HL7 2.5.1 chapter 2.5.3): ``""`` as Python's empty string is *omitted or empty*; the two
quote characters, :data:`NULL`, *erase*; anything else *sets*. All raw texts here (field, repetition, component) can be
compared with :data:`NULL`; do so before unescaping.

python-hl7 is the reference in ``tests/contract/test_reader_agrees_with_python_hl7.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from hl7_listener.charset import decode
from hl7_listener.delimiters import Delimiters, can_delimit
from hl7_listener.errors import Unreadable
from hl7_listener.escapes import unescape
from hl7_listener.header import Header, delimiters_of, header_of
from patient_records.model import Masked

NULL: Final = '""'
"""The raw text that erases what is stored, as a whole field, a repetition or a component."""

MAX_REPETITIONS: Final = 200
"""Repetitions of a field that are looked at unless asked otherwise; the longest PID-3 of our corpus has 9."""

_BEHIND: Final = b" \t\r\n\0\x0b\x1c"
_BEFORE: Final = _BEHIND + b"\xef\xbb\xbf"  # and the BOM; behind the message these bytes are letters
_FIRST_FIELDS: Final = 64  # more than any segment of 2.9 has: one split does for all of them
_ODD_START: Final = re.compile("\r(?:[ \t\0\x0b\x1c\ufeff]|[A-Z0-9]{0,2}[a-z])")
_MOST_MENDED: Final = 10_000  # segment ids in lower case or behind blanks; a megabyte has room for 200,000
_LOST_MSH: Final = re.compile(rb"MSH(?=[!-/:-@\[-`{-~])", re.IGNORECASE)
_SALVAGE: Final = 4096  # bytes in which a lost MSH is looked for


class Segment(Masked):
    """One segment. Field numbers are those of HL7, in MSH too (MSH-1 is the field separator)."""

    __slots__ = ("_charset", "_delimiters", "_fields", "_line", "_marks", "_split")

    def __init__(self, line: str, delimiters: Delimiters, charset: str) -> None:
        """Take the text of the segment, without its terminator."""
        self._line = line
        self._delimiters = delimiters
        self._marks = delimiters.within_fields
        self._charset = charset
        self._split = _FIRST_FIELDS
        self._fields = self._split_fields()

    def _split_fields(self) -> list[str]:
        separator = self._delimiters.field
        fields = self._line.split(separator, self._split)
        if len(fields) > self._split:
            fields.pop()  # what is beyond stays unsplit until it is asked for
        if fields[0] in {"MSH", "BHS", "FHS"}:
            fields.insert(1, separator)
        return fields

    @property
    def id(self) -> str:
        """The segment id, upper case."""
        return self._fields[0].strip()

    @property
    def raw(self) -> str:
        """The text of the segment, without its terminator."""
        return self._line

    def field(self, n: int) -> str:
        """Give the raw text of field ``n``; empty when omitted, :data:`NULL` when it erases."""
        if n < len(self._fields):
            return self._fields[n]
        if len(self._fields) < self._split:
            return ""
        self._split = max(n + 1, 2 * self._split)
        self._fields = self._split_fields()
        return self._fields[n] if n < len(self._fields) else ""

    def repetitions(self, n: int, limit: int = MAX_REPETITIONS) -> list[str]:
        """Split field ``n`` into raw repetitions, at most ``limit`` of them; an omitted field has none.

        :meth:`repetition_count` tells whether there were more.
        """
        value = self.field(n)
        return value.split(self._delimiters.repetition, limit)[:limit] if value else []

    def repetition_count(self, n: int) -> int:
        """Count the repetitions of field ``n``, looked at or not."""
        value = self.field(n)
        return value.count(self._delimiters.repetition) + 1 if value else 0

    def text(self, n: int, component: int = 1, sub: int = 1) -> str:
        """Give one part of the first repetition of field ``n``, unescaped, without outer blanks.

        A missing part is empty. A null is :data:`NULL`, in its first component only.
        """
        fields = self._fields
        value = fields[n] if n < len(fields) else self.field(n)
        if not value:
            return value
        # written out, not composed: this line is where a message spends most of its reading
        component_mark, repetition_mark, escape_mark, sub_mark = self._marks
        if repetition_mark in value:
            value = value.split(repetition_mark, 1)[0]
        if component_mark in value:
            value = _part(value, component_mark, component)
        elif component != 1:
            return ""
        if sub_mark in value:
            value = _part(value, sub_mark, sub)
        elif sub != 1:
            return ""
        if escape_mark in value:
            value = unescape(value, self._delimiters, self._charset)
        return value.strip()


def _part(value: str, mark: str, number: int) -> str:
    """Give one part, counted from 1, and split no further than that."""
    parts = value.split(mark, number)
    return parts[number - 1] if number <= len(parts) else ""


class Message(Masked):
    """A message that could be read.

    ``raw`` is what was received, to the byte; ``header`` is MSH; ``charset`` the codec that was used and
    ``charset_guessed`` whether nobody had said so (SPEC 3.4).
    """

    __slots__ = ("_first", "_id_ends", "_text", "charset", "charset_guessed", "delimiters", "header", "raw")

    def __init__(self, raw: bytes, text: str, header: Header, *, charset_guessed: bool) -> None:
        """Take a mended text: ``MSH`` at its start, CR between segments, ids in upper case. :func:`read` makes it."""
        self.raw = raw
        self.header = header
        self.delimiters = header.delimiters
        self.charset = header.charset
        self.charset_guessed = charset_guessed
        self._text = text
        self._id_ends = (header.delimiters.field, "\r", "")
        self._first: dict[str, Segment | None] = {}

    def segment(self, segment_id: str) -> Segment | None:
        """Give the first segment with that id (upper case), or None."""
        try:
            return self._first[segment_id]
        except KeyError:
            start = self._locate(segment_id, 0)
            found = self._first[segment_id] = self._segment_at(start) if start >= 0 else None
            return found

    def segments(self, *segment_ids: str) -> Iterator[Segment]:
        """Give the segments with those ids, in the order of the message; without ids, all of them."""
        if len(segment_ids) == 1:
            return self._named(segment_ids[0])
        return self._any(frozenset(segment_ids))

    def components(self, repetition: str) -> list[str]:
        """Split a raw repetition into raw components."""
        return self.delimiters.components(repetition)

    def subcomponents(self, component: str) -> list[str]:
        """Split a raw component into raw subcomponents."""
        return self.delimiters.subcomponents(component)

    def unescape(self, text: str, most: int | None = None) -> str:
        """Undo the escape sequences in a part that is split no further; of a longer text only ``most`` characters."""
        return unescape(text, self.delimiters, self.charset, most)

    def _locate(self, segment_id: str, position: int) -> int:
        """Find where the next segment with that id starts, at ``position`` or behind; -1 if there is none."""
        text = self._text
        if position == 0 and text.startswith(segment_id):
            return 0
        needle = "\r" + segment_id
        while (found := text.find(needle, position)) >= 0:
            position = found + len(needle)
            if text[position : position + 1] in self._id_ends:
                return found + 1
        return -1

    def _named(self, segment_id: str) -> Iterator[Segment]:
        start = self._locate(segment_id, 0)
        while start >= 0:
            yield self._segment_at(start)
            start = self._locate(segment_id, start + len(segment_id))

    def _any(self, segment_ids: frozenset[str]) -> Iterator[Segment]:
        text, start = self._text, 0
        while start >= 0:
            named = text[start : start + 3] in segment_ids and text[start + 3 : start + 4] in self._id_ends
            if named or (not segment_ids and text[start : start + 1] not in {"\r", ""}):
                yield self._segment_at(start)
            start = text.find("\r", start) + 1 or -1

    def _segment_at(self, start: int) -> Segment:
        end = self._text.find("\r", start)
        return Segment(self._text[start:] if end < 0 else self._text[start:end], self.delimiters, self.charset)


def read(raw: bytes, *, charset: str | None = None, default_charset: str | None = None) -> Message:
    """Read one message.

    ``charset`` overrides what the message declares, ``default_charset`` serves where it declares nothing usable, both
    in any spelling that :func:`hl7_listener.charset.codec_for` knows. Raises :class:`Unreadable`, and nothing else.
    """
    data = raw.lstrip(_BEFORE).rstrip(_BEHIND)
    if data[:3].upper() != b"MSH":
        raise Unreadable("no_msh" if data else "empty", _salvaged(data))
    decoded = decode(data, _declared_charsets(data), override=charset, default=default_charset)
    text = decoded.text
    if not can_delimit(text[3:4]):
        raise Unreadable("no_delimiter", _salvaged(data[3:]))
    if "\n" in text or text[0] != "M" or _ODD_START.search(text):
        text = _mended(text)
    line = text.partition("\r")[0]
    header = header_of(line, delimiters_of(line), decoded.charset, data)
    return Message(raw, text, header, charset_guessed=decoded.guessed)


def _declared_charsets(data: bytes) -> list[str]:
    """Read MSH-18 before the charset is known: whatever that is, it leaves ASCII alone."""
    line = data.partition(b"\r")[0].partition(b"\n")[0]
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = line.decode("latin-1")  # enough to find the field
    fields = text.split(text[3:4] or "|", 18)
    if len(fields) < 18 or not fields[17]:  # noqa: PLR2004 (MSH-18 is the eighteenth piece)
        return []
    return fields[17].split(text[5], 4)[:4]  # eighteen pieces, so there is a sixth character


def _mended(text: str) -> str:
    """Put CR, and only CR, between segments, and ids in upper case right behind it."""
    ends, starts = _seams(text[3])
    if "\n" in text:
        text = ends.sub("\r", _without_neighbours(text)) if "\r" in text else text.replace("\n", "\r")
    return text[:3].upper() + starts.sub(lambda match: "\r" + match[1].upper(), text[3:], _MOST_MENDED)


def _without_neighbours(text: str) -> str:
    """Drop each LF next to a CR; by pieces, for a pattern would look at a run of LF once for every one of them."""
    return "\r".join([piece.strip("\n") for piece in text.split("\r")])


@lru_cache(maxsize=64)
def _seams(separator: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile what ends a segment where LF is found among CRs, and what starts one that is indented or lower case."""
    segment_id, separator = "[A-Za-z][A-Za-z0-9]{2}", re.escape(separator)
    ends = re.compile(f"\n(?={segment_id}{separator})")
    starts = re.compile(f"\r(?:[ \t\0\x0b\x1c\ufeff]+|(?![A-Z0-9]{{3}}))({segment_id})(?={separator}|\r|$)")
    return ends, starts


def _salvaged(data: bytes) -> Header:
    """Find what an answer can be addressed to, in the first bytes of something that is no message.

    What asks for silence is left out: nobody whose message could not be read is left without a word (SPEC 3.3).
    """
    found = _LOST_MSH.search(data, 0, _SALVAGE)
    if found is None:
        return Header()
    line = data[found.start() : found.start() + _SALVAGE].decode("latin-1")
    line = "MSH" + line[3:].partition("\r")[0].partition("\n")[0]
    header = header_of(line, delimiters_of(line), "latin-1")
    code = "" if header.message_code == "ACK" else header.message_code
    return replace(header, message_code=code, accept_ack="", application_ack="")

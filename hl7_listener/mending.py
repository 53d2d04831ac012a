"""Mending a stored message by hand: one place gets another value, and every other byte stays as it was. Pure.

A place is written as people write it: ``PID.7`` or ``PID-7`` for a field, ``PID.5.1`` for a component, ``PID.5.1.2``
for a subcomponent; ``PID.3[2].1`` means the second repetition, ``OBX[3].5`` the third OBX. What is not there yet is
made, with empty neighbours. The value is ER7 text, as it would stand in the message: ``SMITH^JOHN`` sets two
components, ``""`` asks the receiver to erase.

Neither python-hl7 nor hl7apy gives back the bytes that it read, so neither is used here: the message is divided at
segment ends and field separators, and put together again from the same pieces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from hl7_listener.delimiters import Delimiters
from hl7_listener.errors import ListenerError
from hl7_listener.message import read
from patient_records.model import Masked

_PLACE: Final = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<occurrence>\d{1,4})\])?"
    r"[.-](?P<field>\d{1,3})(?:\[(?P<repetition>\d{1,4})\])?"
    r"(?:[.-](?P<component>\d{1,3}))?(?:[.-](?P<subcomponent>\d{1,3}))?\Z"
)
_ENDS: Final = re.compile(r"(\r\n?|\n)")
_FORBIDDEN: Final = frozenset("\r\n\x0b\x1c\0")
_HEADERS: Final = frozenset({"MSH", "BHS", "FHS"})


class MendFault(ListenerError):
    """A mend that cannot be done; the code says why and holds nothing of the message. Say it in another way."""


class Mend(Masked, Struct, frozen=True):
    """One place (numbers count from 1; component and subcomponent 0 mean the whole above them) and its new value."""

    segment: str
    occurrence: int
    field: int
    repetition: int
    component: int
    subcomponent: int
    value: str

    @property
    def place(self) -> str:
        """The place as it is written, for a log or an audit trail; never the value."""
        occurrence = f"[{self.occurrence}]" if self.occurrence > 1 else ""
        repetition = f"[{self.repetition}]" if self.repetition > 1 else ""
        parts = "".join(f".{part}" for part in (self.component, self.subcomponent) if part)
        return f"{self.segment}{occurrence}.{self.field}{repetition}{parts}"


def parse_mend(text: str) -> Mend:
    """Read ``PID.7=19700101``. Raises :class:`MendFault`, which does not repeat the value."""
    place, equals, value = text.partition("=")
    found = _PLACE.match(place.strip().upper())
    if not equals or found is None:
        raise MendFault("a mend is written PLACE=VALUE, such as PID.7=19700101 or PID.3[2].1=4711")
    numbers = {name: int(found[name] or default) for name, default in _NUMBERS.items()}
    if 0 in (numbers["occurrence"], numbers["field"], numbers["repetition"]):
        raise MendFault(f"{place.strip()}: segments, fields and repetitions are counted from 1")
    if not _FORBIDDEN.isdisjoint(value):
        raise MendFault(f"{place.strip()}: a value holds no line ends and no framing characters (use \\.br\\)")
    if found["segment"] in _HEADERS and numbers["field"] <= 2:  # noqa: PLR2004 (MSH-1 and MSH-2)
        raise MendFault(f"{place.strip()}: the delimiters of a message cannot be mended")
    return Mend(found["segment"], value=value, **numbers)


_NUMBERS: Final = {"occurrence": 1, "field": 0, "repetition": 1, "component": 0, "subcomponent": 0}


def mend(raw: bytes, mends: Sequence[Mend], *, charset: str | None = None, default_charset: str | None = None) -> bytes:
    """Give the message with these places mended, in their order.

    ``charset`` and ``default_charset`` are the listener's, as for :func:`hl7_listener.message.read`. Raises
    :class:`MendFault` when a segment is not there or a value does not exist in the message's charset, and Unreadable
    where there is no message to mend.
    """
    message = read(raw, charset=charset, default_charset=default_charset)
    codec = _faithful(raw, message.charset)
    pieces = _ENDS.split(raw.decode(codec))
    for each in mends:
        index = _segment(pieces, each)
        pieces[index] = _set_field(pieces[index], each, message.delimiters)
    try:
        return "".join(pieces).encode(codec)
    except UnicodeEncodeError:
        raise MendFault(f"a value has characters that the message's charset ({message.charset}) lacks") from None


def _faithful(raw: bytes, codec: str) -> str:
    """Give the codec of the message if it gives back the very bytes that it reads, else one that always does."""
    try:
        return codec if raw.decode(codec).encode(codec) == raw else "latin-1"
    except UnicodeError:
        return "latin-1"


def _segment(pieces: Sequence[str], wanted: Mend) -> int:
    """Find the piece of that segment; text and terminators lie in ``pieces`` by turns."""
    seen = 0
    for index in range(0, len(pieces), 2):
        if pieces[index].lstrip(" \t\0\x0b\x1c\ufeff")[:3].upper() == wanted.segment:
            seen += 1
            if seen == wanted.occurrence:
                return index
    raise MendFault(f"{wanted.place}: the message has no such segment")


def _set_field(line: str, wanted: Mend, delimiters: Delimiters) -> str:
    offset = 1 if wanted.segment in _HEADERS else 0  # MSH-1 is the separator itself
    fields = _grown(line.split(delimiters.field), wanted.field - offset)
    at = wanted.field - offset
    fields[at] = _set_part(
        fields[at],
        (delimiters.repetition, delimiters.component, delimiters.subcomponent),
        # The whole field, unless a repetition or something below it is named.
        (wanted.repetition if wanted.component or wanted.repetition > 1 else 0, wanted.component, wanted.subcomponent),
        wanted.value,
    )
    return delimiters.field.join(fields)


def _set_part(text: str, marks: Sequence[str], numbers: Sequence[int], value: str) -> str:
    """Set one part of a field, level by level; number 0 is the whole of what is left."""
    if not numbers or numbers[0] == 0:
        return value
    parts = _grown(text.split(marks[0]), numbers[0] - 1)
    parts[numbers[0] - 1] = _set_part(parts[numbers[0] - 1], marks[1:], numbers[1:], value)
    return marks[0].join(parts)


def _grown(parts: list[str], index: int) -> list[str]:
    return parts + [""] * (index + 1 - len(parts))

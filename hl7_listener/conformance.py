"""Does a message keep to the standard? hl7apy's answer, as findings. Bytes in, findings out, no I/O, no exception.

hl7apy is strict about form and helpless about real messages: it raises on versions it does not know, on line feeds, on
doubled delimiters, and silently drops segments that it cannot place. So our own reader reads the message first, what
hl7apy cannot take becomes a finding of ours, and hl7apy gets the rest, segment by segment in its own form:

1. delimiters, version, segments and fields that the version does not know: ours;
2. required parts, repetitions, data types, lengths and tables: hl7apy's validator, by :mod:`conformance_report`;
3. dates, times and numbers that are none: hl7apy's data types, strictly, one value at a time.

Z segments are whatever their sender likes and are passed over. This is slow (10 to 20 ms a message, and hl7apy's tables
take 20 MiB), which is why it happens in a process of its own (:mod:`conformance_worker`), after the acknowledgment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

from hl7apy import SUPPORTED_LIBRARIES, load_reference
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message as Hl7apyMessage
from hl7apy.exceptions import ChildNotFound, HL7apyException, MaxLengthReached
from hl7apy.factories import datatype_factory
from hl7apy.parser import parse_segment, parse_segments

from hl7_listener.conformance_report import inner, notes, outer
from hl7_listener.delimiters import NONE
from hl7_listener.errors import Unreadable
from hl7_listener.finding import (
    BAD_VALUE,
    FURTHER_FINDINGS,
    MISPLACED_SEGMENT,
    MOST_BYTES,
    MOST_FINDINGS,
    MOST_PARTS,
    ODD_DELIMITERS,
    TOO_LARGE_TO_CHECK,
    TOO_LONG,
    UNKNOWN_FIELD,
    UNKNOWN_SEGMENT,
    UNKNOWN_STRUCTURE,
    UNKNOWN_VERSION,
    UNPARSEABLE,
    Finding,
)
from hl7_listener.message import NULL, Message, Segment, read
from hl7_listener.message_profile import ProfileFault, load_profile
from hl7_listener.message_structures import structures

_VALUED: Final = frozenset({"DT", "DTM", "TM", "NM", "SI"})
"""Data types whose values have a form of their own."""
_TRUNCATION_SINCE: Final = "2.7"
_ID_LENGTH: Final = 3


def check(raw: bytes, *, charset: str | None = None, profiles: Sequence[str] = ()) -> tuple[Finding, ...]:
    """Check one message, read with that charset where it can be; each finding once. Never raises.

    Of ``profiles`` (paths) the first that is for this message says what is required in it; where none is, or it cannot
    be read, the standard does.
    """
    if len(raw) > MOST_BYTES:
        return (Finding(TOO_LARGE_TO_CHECK),)
    try:
        found = dict.fromkeys(_findings(read(raw, charset=charset), profiles))
    except Unreadable:
        return (Finding(UNPARSEABLE),)
    except MemoryError:
        return (Finding(TOO_LARGE_TO_CHECK),)
    except Exception:  # noqa: BLE001 (hl7apy may raise anything, with content in its text; neither may leave)
        return (Finding(UNPARSEABLE),)
    if len(found) > MOST_FINDINGS:
        return (*list(found)[:MOST_FINDINGS], Finding(FURTHER_FINDINGS))
    return tuple(found)


def _findings(message: Message, profiles: Sequence[str]) -> Iterator[Finding]:
    version = message.header.version
    if version not in SUPPORTED_LIBRARIES:
        yield Finding(UNKNOWN_VERSION, "MSH-12")
        return
    segments = list(message.segments())
    marks = _Marks(message, version)
    if marks.parts(segments) > MOST_PARTS:
        yield Finding(TOO_LARGE_TO_CHECK)
        return
    if marks.odd:
        yield Finding(ODD_DELIMITERS, "MSH-2")
    known: list[Segment] = []
    for segment in segments:
        if not _is_ours_to_judge(segment):
            continue
        reference = _reference(segment.id, "Segment", version)
        if reference is None:
            yield Finding(UNKNOWN_SEGMENT, known[-1].id if known else "MSH")
            continue
        known.append(segment)
        yield from _unknown_fields(segment, reference, marks.encoding["FIELD"])
    yield from _judged(message, known, marks, profiles)


class _Marks:
    """The delimiters of one message in hl7apy's form, and how the sender's own differ."""

    def __init__(self, message: Message, version: str) -> None:
        self.version = version
        d = message.delimiters
        allowed = d.component + d.repetition + d.escape + d.subcomponent
        if version >= _TRUNCATION_SINCE:
            allowed += d.truncation
        header = message.segment("MSH")
        self.odd = header is None or header.field(2) != allowed
        # A mark that the message does not have is one that cannot occur: hl7apy wants all of them, and different.
        taken = [
            chr(0xE000 + n) if mark == NONE else mark
            for n, mark in enumerate((d.field, d.component, d.repetition, d.escape, d.subcomponent))
        ]
        names = ("FIELD", "COMPONENT", "REPETITION", "ESCAPE", "SUBCOMPONENT")
        self.encoding = dict(zip(names, taken, strict=True)) | {"SEGMENT": "\r", "GROUP": "\r"}

    def text(self, segment: Segment) -> str:
        """A segment for hl7apy, which reads MSH-2 again wherever it pleases."""
        if not self.odd or segment.id != "MSH":
            return segment.raw.strip()
        mark = self.encoding
        pieces = segment.raw.split(mark["FIELD"], 2)
        pieces[1:2] = [mark["COMPONENT"] + mark["REPETITION"] + mark["ESCAPE"] + mark["SUBCOMPONENT"]]
        return mark["FIELD"].join(pieces)

    def parts(self, segments: list[Segment]) -> int:
        """Count what hl7apy would make objects of."""
        dividing = [self.encoding[name] for name in ("FIELD", "COMPONENT", "REPETITION", "SUBCOMPONENT")]
        return len(segments) + sum(segment.raw.count(mark) for segment in segments for mark in dividing)


def _is_ours_to_judge(segment: Segment) -> bool:
    return not (len(segment.id) == _ID_LENGTH and segment.id.startswith("Z"))


def _reference(name: str, kind: str, version: str) -> Any:
    """Give hl7apy's description of an element; None where that version has none."""
    try:
        return load_reference(name, kind, version)
    except ChildNotFound:
        return None


def _unknown_fields(segment: Segment, reference: Any, separator: str) -> Iterator[Finding]:
    """Find values behind the last field of a segment, or in one that the version has withdrawn."""
    children = reference[1]
    if children and children[-1][1][2] == "varies":
        return  # its last field goes on for ever: QPD, RDT
    names = {child[0] for child in children}
    first = 1 if segment.id == "MSH" else 0  # the separator itself is MSH-1
    for n, value in enumerate(segment.raw.split(separator)[1:], 1 + first):
        if value.strip() and f"{segment.id}_{n}" not in names and n < 1000:  # noqa: PLR2004 (three digits say it)
            yield Finding(UNKNOWN_FIELD, f"{segment.id}-{n}")


def _judged(message: Message, segments: list[Segment], marks: _Marks, profiles: Sequence[str]) -> Iterator[Finding]:
    """Give all that hl7apy says of segments that it knows."""
    structure = _structure(message, marks.version)
    if structure is None:
        yield Finding(UNKNOWN_STRUCTURE, "MSH-9")
    else:
        try:
            yield from _whole(structure, segments, marks, _profile(structure, message, profiles))
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 (then it may still take the segments one by one)
            yield Finding(UNPARSEABLE)
        else:
            return
    for segment in segments:
        try:
            found = list(_single(segment, marks))
        except Exception:  # noqa: BLE001 (the segment is named, its fault is not: hl7apy's text has content)
            found = [Finding(UNPARSEABLE, segment.id)]
        yield from found


def _structure(message: Message, version: str) -> str | None:
    header, msh = message.header, message.segment("MSH")
    declared = msh.text(9, 3) if msh else ""
    for name in structures(header.message_code, header.trigger, declared):
        if _reference(name, "Message", version) is not None:
            return name
    return None


def _profile(structure: str, message: Message, profiles: Sequence[str]) -> Any:
    """The description by the first profile that is for this message; None: the standard's."""
    header = message.header
    for path in profiles:
        with suppress(ProfileFault):
            profile = load_profile(path, _parts_of)
            if profile.fits(structure, header.trigger, header.version):
                return profile.reference
    return None


def _parts_of(datatype: str, version: str) -> tuple[Any, ...] | None:
    """The parts of a data type in that version of the standard; None for one that has none."""
    return _reference(datatype, "Datatypes_Structs", version) if version in SUPPORTED_LIBRARIES else None


def _whole(structure: str, segments: list[Segment], marks: _Marks, profile: Any) -> Iterator[Finding]:
    level = VALIDATION_LEVEL.TOLERANT
    tree = Hl7apyMessage(
        structure, reference=profile, version=marks.version, validation_level=level, encoding_chars=marks.encoding
    )
    text = "\r".join(map(marks.text, segments))
    tree.children = parse_segments(text, marks.version, marks.encoding, level, tree.reference, find_groups=True)
    placed = list(_leaves(tree))
    dropped = Counter(segment.id for segment in segments) - Counter(str(leaf.name) for leaf in placed)
    found = [Finding(MISPLACED_SEGMENT, segment_id) for segment_id in dropped]
    found += _noted(tree, placed, profile)
    for leaf in placed:
        found += _bad_values(leaf, marks.version)
    yield from found  # only now: a failure half-way must leave nothing behind


def _single(segment: Segment, marks: _Marks) -> Iterator[Finding]:
    leaf = parse_segment(marks.text(segment), marks.version, marks.encoding, VALIDATION_LEVEL.TOLERANT)
    yield from _noted(leaf, [leaf])
    yield from _bad_values(leaf, marks.version)


def _noted(element: Any, segments: list[Any], profile: Any = None) -> list[Finding]:
    """Validate an element; where a note is from inside a field, find that field by validating each."""
    segment_ids = frozenset(str(segment.name) for segment in segments)
    own = dict(_described(profile)) if profile is not None else {}
    told = [outer(note, segment_ids) for note in notes(element, profile)]
    found = [finding for finding in told if finding is not None]
    if len(found) < len(told):
        for place, field in _fields(segments):
            found += [
                inner(note, place) for note in notes(field, own.get(field.name)) if outer(note, segment_ids) is None
            ]
    return found


def _described(reference: Any) -> Iterator[tuple[str, Any]]:
    """Each field that a profile describes, by hl7apy's name, with its description."""
    for name, described, _, kind in reference[1] or ():
        if kind == "FIE":
            yield name, described
        else:
            yield from _described(described)


def _leaves(element: Any) -> Iterator[Any]:
    """The segments of a message, in and out of groups."""
    for child in element.children:
        if child.classname == "Segment":
            yield child
        else:
            yield from _leaves(child)


def _fields(segments: list[Any]) -> Iterator[tuple[str, Any]]:
    """Each field that the standard knows, with its place."""
    for segment in segments:
        for field in segment.children:
            if field.name:
                yield str(field.name).replace("_", "-"), field


def _bad_values(segment: Any, version: str) -> Iterator[Finding]:
    for place, field in _fields([segment]):
        for component in field.children:
            for part in component.children:
                rule = _fault(str(part.datatype), part.to_er7(), version)
                if rule:
                    numbers = [_number(component.name, str(field.datatype)), _number(part.name, component.datatype)]
                    yield Finding(rule, ".".join([place, *(n for n in numbers if n)]))


def _number(name: Any, datatype: Any) -> str:
    """The number of a part in its data type: 1 for TS_1 in a TS; empty for one that is the whole."""
    prefix, _, number = str(name).rpartition("_")
    return number if prefix == str(datatype) else ""


def _fault(datatype: str, value: str, version: str) -> str:
    if datatype not in _VALUED or not value.strip() or value == NULL:
        return ""
    try:
        datatype_factory(datatype, value.strip(), version, VALIDATION_LEVEL.STRICT)
    except MaxLengthReached:
        return TOO_LONG
    except (ValueError, HL7apyException):
        return BAD_VALUE
    return ""

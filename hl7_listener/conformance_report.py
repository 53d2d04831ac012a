"""hl7apy's validator, and what its reports mean.

hl7apy raises its first error only and writes the others to a file, values and all. Neither will do, so its own code
runs here with exception classes that note what they are told. The notes are sentences of a fixed wording, filled with
names of the standard's elements and, two of them, with values; they are read for the names, and only what has the shape
of an element's name is kept. Nothing else of a note leaves this module.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from functools import lru_cache
from types import FunctionType
from typing import Any, Final

from hl7apy import load_reference, validation
from hl7apy.exceptions import ChildNotFound
from msgspec import Struct

from hl7_listener.finding import (
    MISPLACED_SEGMENT,
    MISSING_REQUIRED,
    NOT_IN_TABLE,
    TOO_LONG,
    TOO_MANY,
    UNKNOWN_COMPONENT,
    WITHDRAWN,
    WRONG_DATATYPE,
    Finding,
)

_NAME: Final = r"([A-Za-z0-9_]+)"
_RULES: Final = (
    # \Z and \A: a value stands in the middle, and must not pass for the names around it.
    (MISSING_REQUIRED, re.compile(rf"\AMissing required child {_NAME}\.{_NAME}\Z")),
    (TOO_MANY, re.compile(rf"\AChild limit exceeded {_NAME}\.{_NAME}\Z")),
    (WRONG_DATATYPE, re.compile(rf"\ADatatype \w+ is not correct for {_NAME}\.{_NAME} \(it must be ")),
    (TOO_LONG, re.compile(rf"\AExceeded max length \(\d+\) of {_NAME}\.{_NAME}\Z")),
)
_NOT_IN_TABLE: Final = re.compile(rf" not in table \w+ in element {_NAME}\.{_NAME}\Z")
_STRANGE_PARTS: Final = re.compile(
    rf"\A(?:Invalid children detected for |Unknown element found: )<(?:Field|Component) {_NAME} "
)
_STRANGE_SEGMENTS: Final = re.compile(rf"\AInvalid children detected for <(?:Message|Group) {_NAME}>: \[(.*)\]\Z")
_NULL: Final = 'Value "" not in table'  # the null (2.5.1 chapter 2.5.3) erases: it is in every table

_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_GROUP: Final = re.compile(r"[A-Z0-9]{3}_[A-Z0-9]{2,3}_[A-Z0-9_]{2,40}")
_PART: Final = re.compile(r"[A-Z][A-Z0-9]{1,2}_(\d{1,3})")


class Note(Struct, frozen=True):
    """One report, understood: the rule, and hl7apy's names for the element and what it stands in."""

    rule: str
    parent: str
    child: str


def notes(element: Any, reference: Any = None) -> list[Note]:
    """Validate one of hl7apy's elements and give what its validator says; what cannot be understood is left out.

    ``reference`` describes the element in another way than the standard does: a message profile's.

    Raises whatever hl7apy stumbles over.
    """
    told: list[str] = []

    class Noted(Exception):
        def __init__(self, text: str) -> None:
            super().__init__()
            told.append(text)

    names = vars(validation) | {"ValidationError": Noted, "ValidationWarning": Noted}
    validate = FunctionType(validation.Validator.validate.__code__, names, "validate", (None, None))
    with contextlib.suppress(Noted):
        validate(element, reference)
    understood = [note for text in told for note in _understood(text)]
    return [_of_withdrawn(note) if _withdrawn(note.child, element.version) else note for note in understood]


def _of_withdrawn(note: Note) -> Note:
    """To hl7apy a withdrawn part may occur up to 0 times, and its data type never fits."""
    return Note(WITHDRAWN, note.parent, note.child) if note.rule in {TOO_MANY, WRONG_DATATYPE} else note


@lru_cache(maxsize=4096)
def _withdrawn(name: str, version: str) -> bool:
    """Whether that version of the standard has withdrawn a field (``PID_19``) or component (``XPN_6``)."""
    whole = name.rpartition("_")[0]
    for kind in ("Segment", "Datatypes_Structs"):
        try:
            children = load_reference(whole, kind, version)
        except ChildNotFound:
            continue
        children = children[1] if kind == "Segment" else children
        return any(child[0] == name and child[2][1] == 0 for child in children)
    return False


def _understood(text: str) -> Iterator[Note]:
    for rule, pattern in _RULES:
        if match := pattern.search(text):
            yield Note(rule, match[1], match[2])
            return
    if text.startswith("Value "):
        match = _NOT_IN_TABLE.search(text)
        if match and not text.startswith(_NULL):
            yield Note(NOT_IN_TABLE, match[1], match[2])
    elif match := _STRANGE_PARTS.search(text):
        yield Note(UNKNOWN_COMPONENT, match[1], "")
    elif match := _STRANGE_SEGMENTS.search(text):
        for name in re.findall(r"'([A-Z0-9_]+)'", match[2]):
            yield Note(MISPLACED_SEGMENT, match[1], name)


def outer(note: Note, segment_ids: frozenset[str]) -> Finding | None:
    """The finding of a note whose parent is a message, group, segment or field; None for one from further inside.

    Inside a field hl7apy names data types (XPN_1.FN_1) and not the field: :func:`inner` is for those.
    """
    parent, child = note.parent, note.child
    if _SEGMENT.fullmatch(child) or _GROUP.fullmatch(child):
        return Finding(note.rule, child)
    field = _field(parent, segment_ids)
    if field:
        return Finding(note.rule, _extended(field, child))
    if _SEGMENT.fullmatch(parent) and _field(child, segment_ids):
        return Finding(note.rule, _field(child, segment_ids))
    return None


def inner(note: Note, field: str) -> Finding:
    """The finding of a note from inside that field (``PID-5``)."""
    return Finding(note.rule, _extended(_extended(field, note.parent), note.child))


def _field(name: str, segment_ids: frozenset[str]) -> str:
    """``PID_5`` as ``PID-5``; empty where the name is none of those segments' fields."""
    segment_id, _, number = name.rpartition("_")
    return f"{segment_id}-{number}" if segment_id in segment_ids and _PART.fullmatch(name) else ""


def _extended(place: str, part: str) -> str:
    """Add a part's number to a place: ``PID-5`` and ``XPN_1`` make ``PID-5.1``; a part without one adds nothing."""
    match = _PART.fullmatch(part)
    if match is None:
        return place
    return f"{place}.{match[1]}"

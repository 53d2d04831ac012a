"""Message profiles: what a site and its sender agreed on beyond the standard (HL7 2.5.1 chapter 2.12).

A profile is XML of the standard's own schema (``HL7v2xConformanceProfile``, or its ``HL7v2xStaticDef`` alone), as
Messaging Workbench and most vendors write it. hl7apy checks by a nested tuple for each message structure; its own tool
makes that with lxml and keeps it as a pickle, which runs whatever code is in it. Here the XML is read directly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, TypeAlias
from xml.etree import ElementTree as ET

from msgspec import Struct

from hl7_listener.errors import ListenerError

MOST_BYTES: Final = 16 << 20
_UNBOUNDED: Final = -1
_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]{1,20}")
_PARTS: Final = ("Component", "SubComponent")


class ProfileFault(ListenerError):
    """A file that is no message profile.

    Codes: ``unreadable``, ``too_large``, ``no_xml``, ``no_profile`` (no HL7v2xStaticDef in it), ``no_structure`` (that
    names no message structure), ``odd_segment`` (a segment or group without a name, or with one that is none).
    """


class MessageProfile(Struct, frozen=True):
    """One profile: which messages it is for, and hl7apy's description of them.

    ``structure`` is as in MSH-9.3 (ADT_A05), ``trigger`` as in MSH-9.2, ``version`` as in MSH-12; empty ones fit all.
    """

    structure: str
    trigger: str
    version: str
    reference: Any

    def fits(self, structure: str, trigger: str, version: str) -> bool:
        """Whether a message of that structure, event and version is to keep to it."""
        return self.structure == structure and self.trigger in ("", trigger) and self.version in ("", version)


PartsOf: TypeAlias = Callable[[str, str], tuple[Any, ...] | None]
"""Gives the standard's parts of a data type in a version; None for one that has no parts."""


def _nothing(datatype: str, version: str) -> None:
    """Know of no data type: enough to see whether a file is a profile."""
    del datatype, version


@lru_cache(maxsize=64)
def load_profile(path: str, parts_of: PartsOf = _nothing) -> MessageProfile:
    """Read a profile, once for each path. ``parts_of`` serves where a profile leaves parts to the standard.

    Raises ProfileFault.
    """
    file = Path(path)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ProfileFault("too_large")
        content = file.read_bytes()
    except OSError:
        raise ProfileFault("unreadable") from None
    try:
        root = ET.fromstring(content)  # noqa: S314 (as above)
    except ET.ParseError:
        raise ProfileFault("no_xml") from None
    definition = root if _tag(root) == "HL7v2xStaticDef" else _child(root, "HL7v2xStaticDef")
    if definition is None:
        raise ProfileFault("no_profile")
    structure = definition.get("MsgStructID", "")
    if _NAME.fullmatch(structure) is None:
        raise ProfileFault("no_structure")
    version = root.get("HL7Version", "")
    reader = _Reader(structure, version or "2.5", parts_of)
    reference = ("sequence", tuple(reader.segments(definition)))
    return MessageProfile(structure, definition.get("EventType", ""), version, reference)


class _Reader:
    """Turns the definition of one message into hl7apy's tuples."""

    def __init__(self, structure: str, version: str, parts_of: PartsOf) -> None:
        self._structure = structure
        self._version = version
        self._parts_of = parts_of

    def segments(self, parent: ET.Element) -> Iterator[tuple[Any, ...]]:
        for child in parent:
            kind, name = _tag(child), child.get("Name", "")
            if kind not in {"Segment", "SegGroup"}:
                continue
            if _NAME.fullmatch(name) is None:
                raise ProfileFault("odd_segment")
            if kind == "Segment":
                yield (name, ("sequence", tuple(self._fields(child, name))), _cardinality(child), "SEG")
            else:
                group = f"{self._structure}_{name.removeprefix(f'{self._structure}_')}"
                yield (group, ("sequence", tuple(self.segments(child))), _cardinality(child), "GRP")

    def _fields(self, segment: ET.Element, name: str) -> Iterator[tuple[Any, ...]]:
        fields = [child for child in segment if _tag(child) == "Field"]
        for number, field in enumerate(fields, 1):
            yield (f"{name}_{number}", self._described(field), _cardinality(field), "FIE")

    def _described(self, element: ET.Element) -> tuple[Any, ...]:
        """What hl7apy wants to know of a field or component: kind, parts, data type, name, table, length."""
        datatype = element.get("Datatype", "").upper()
        parts = tuple(self._components(element, datatype)) or self._parts_of(datatype, self._version)
        table, length = element.get("Table", ""), element.get("Length", "")
        return (
            "sequence" if parts else "leaf",
            parts or None,
            "varies" if datatype == "VARIES" else datatype,
            element.get("Name", ""),
            f"HL7{table.zfill(4)}" if table else None,
            int(length) if length.isdigit() and int(length) > 0 else -1,
        )

    def _components(self, element: ET.Element, datatype: str) -> Iterator[tuple[Any, ...]]:
        parts = [child for child in element if _tag(child) in _PARTS]
        for number, part in enumerate(parts, 1):
            required = (1, 1) if part.get("Usage") == "R" else (0, 0) if part.get("Usage") == "X" else (0, 1)
            yield (f"{datatype}_{number}", self._described(part), required, "CMP")


def _cardinality(element: ET.Element) -> tuple[int, int]:
    usage = element.get("Usage", "")
    if usage == "X":
        return (0, 0)
    least, most = element.get("Min", "0"), element.get("Max", "*")
    lower = int(least) if least.isdigit() else 0
    return (max(lower, 1) if usage == "R" else lower, int(most) if most.isdigit() else _UNBOUNDED)


def _child(parent: ET.Element, tag: str) -> ET.Element | None:
    return next((child for child in parent if _tag(child) == tag), None)


def _tag(element: ET.Element) -> str:
    """An element's name without its namespace; the parser has dropped comments and instructions."""
    return str(element.tag).rpartition("}")[2]

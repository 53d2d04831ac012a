"""Message profiles for tests: the standard's own description of some segments as XML, with a few requirements more."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

from hl7apy import load_reference

SEGMENTS = ("MSH", "EVN", "PID", "PV1")


def write_profile(
    path: Path,
    changes: Mapping[str, Mapping[str, str]],
    *,
    trigger: str = "A28",
    structure: str = "ADT_A05",
    version: str = "2.5.1",
) -> str:
    """Write a profile; ``changes`` sets attributes of fields (``{"PID_7": {"Usage": "R"}}``). Gives its path."""
    segments = "".join(_segment(name, version, changes) for name in SEGMENTS)
    path.write_text(
        f'<?xml version="1.0"?>\n<!-- invented --><HL7v2xConformanceProfile HL7Version="{version}">'
        f'<HL7v2xStaticDef MsgType="ADT" EventType="{trigger}" MsgStructID="{structure}">'
        f"<MetaData Name='x'/>{segments}</HL7v2xStaticDef></HL7v2xConformanceProfile>",
        encoding="utf-8",
    )
    return str(path)


def _segment(name: str, version: str, changes: Mapping[str, Mapping[str, str]]) -> str:
    fields = "".join(
        _field(child[0], child[1][2], child[2], changes.get(child[0], {}))
        for child in load_reference(name, "Segment", version)[1]
    )
    return f"<Segment Name={quoteattr(name)} Usage='R' Min='1' Max='1'>{fields}</Segment>"


def _field(name: str, datatype: str, cardinality: tuple[int, int], changes: Mapping[str, str]) -> str:
    least, most = cardinality
    attributes = {
        "Name": name,
        "Datatype": datatype,
        "Usage": "R" if least else "O",
        "Min": str(least),
        "Max": "*" if most < 0 else str(most),
        **changes,
    }
    written = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items())
    return f"<Field {written}/>"

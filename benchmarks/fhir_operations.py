"""How long the two FHIR operations take for as many people as one request may name, over HTTP and with their commit."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import httpx

from benchmarks.report import Column, Row, Table, latencies
from benchmarks.workbench import Workbench
from patient_records.model import Identifier
from tests.support.api import ApiService
from tests.support.people import House, person

_PEOPLE: Final = 500
"""What one ``$generate-invitation-tokens`` may ask for (SPEC 7)."""
_OPERATIONS: Final = ("Organization/$generate-invitation-tokens", "Patient/$status-query")
_SYSTEM: Final = "https://hospital.example/mrn"
_COLUMNS: Final = (
    Column("database", "database"),
    Column("operation", "operation"),
    Column("people", "people", ","),
    Column("tries", "tries", ","),
    Column("p50", "median ms", ",.1f"),
    Column("max", "max ms", ",.1f"),
    Column("each", "us a person", ",.0f"),
)


def run(bench: Workbench) -> Table:
    """Ask both operations about 500 people, several times, on each database."""
    rows = [row for kind in bench.databases for row in _rows(bench, kind)]
    notes = ("Each generating makes 500 pairs in one transaction; earlier ones live on.",)
    return Table("fhir_operations", "The FHIR operations for 500 people at a time", _COLUMNS, rows, notes)


def _rows(bench: Workbench, kind: str) -> list[Row]:
    house = House(bench.daemon(kind).database_url)
    values = [str(serial) for serial in range(_PEOPLE)]
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patientIdentifier", "valueIdentifier": {"system": _SYSTEM, "value": value}} for value in values
        ],
    }
    try:
        house.arrive([person(identifiers=(Identifier("RX1", "MR", value, "RX1"),)) for value in values])
        with ApiService(house, systems={_SYSTEM: ("RX1", "MR")}) as api:
            call = api.caller()
            tries = max(3, min(20, bench.scale.rows // 50_000))
            return [
                {"database": kind, "operation": operation, **_timed(call, operation, asked, tries)}
                for operation in _OPERATIONS
            ]
    finally:
        house.close()


def _timed(call: Callable[..., httpx.Response], operation: str, asked: dict[str, Any], tries: int) -> Row:
    taken = []
    for _ in range(tries):
        began = time.perf_counter()
        answer = call("POST", f"/fhir/{operation}", json=asked)
        taken.append(time.perf_counter() - began)
        told = [one["name"] for one in answer.json()["parameter"]]
        if len(told) != _PEOPLE or "refused" in told:
            raise RuntimeError(f"{operation} did not say yes to everybody: {answer.json()['parameter'][0]}")
    spread = latencies(taken)
    return {
        "people": _PEOPLE,
        "tries": tries,
        "p50": spread.p50 * 1000,
        "max": spread.longest * 1000,
        "each": 1e6 * spread.p50 / _PEOPLE,
    }

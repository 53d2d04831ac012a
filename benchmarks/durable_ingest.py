"""Messages a second that are stored before they are acknowledged, beside servers that store nothing.

All receivers of a number of connections are measured in turns, round after round, by the same generator; a row is the
median of its rounds (its longest time the longest of all). Rows of the disk's fsync stand in the same table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.fsync_rate import GROUPS, measure_fsync
from benchmarks.receivers import Measured, Receiver, bare, fresh, inviting, measure, seeded
from benchmarks.report import Column, Row, Table, middle, ratio, scaled
from benchmarks.workbench import POSTGRESQL, Workbench

GENERATOR: Final = "generator alone"
REFERENCE: Final = "python-hl7"

_COLUMNS: Final = (
    Column("receiver", "receiver"),
    Column("stores", "stores in"),
    Column("connections", "connec-\ntions", ","),
    Column("rate", "messages\n/s", ",.0f"),
    Column("p50", "p50 ms", ".2f"),
    Column("p99", "p99 ms", ".2f"),
    Column("max", "max ms", ".1f"),
    Column("times_reference", "x python-\nhl7", ".2f"),
    Column("times_fsync", "x fsync\n/s", ".2f"),
    Column("rss", "RSS\nMiB", ".0f"),
    Column("peak", "peak\nMiB", ".0f"),
    Column("family_rss", "with\nchildren", ".0f"),
    Column("cpu", "CPU us\n/message", ",.0f"),
    Column("children_cpu", "children\nCPU s", ".1f"),
    Column("busy", "generator\nbusy", ".0%"),
    Column("faults", "refused,\nlost", ","),
)

_TARGETS: Final = (
    "SPEC 10, at 32 connections: SQLite at least 4,000 messages/s with p99 under 50 ms and ahead of both libraries' "
    "servers; PostgreSQL at least 2,500; under 200 MiB."
)

_NOTES: Final = (
    _TARGETS,
    "Every acknowledged message was found in the journal after the daemon had ended. Each is about somebody new.",
    "x fsync/s: messages for each fsync that the disk does alone; above 1, one fsync served several messages.",
    "Children: the conformance check of one message a second, in a process of its own.",
    "PostgreSQL's own processes are in no column; they run on the same cores.",
)


def run(bench: Workbench) -> Table:
    """Measure every receiver at every number of connections."""
    everyone = _receivers(bench)
    single = _fsync_rows(bench)
    fsyncs = _number(single[0]["rate"])
    rows: list[Row] = []
    for connections in bench.scale.connections:
        those = [receiver for receiver in everyone if not receiver.only or connections in receiver.only]
        rounds = [_round(bench, those, connections, number) for number in range(bench.scale.rounds)]
        rows += _rows(those, connections, rounds, fsyncs)
    return Table("durable_ingest", _title(bench), _COLUMNS, rows + single, _notes(bench))


def _receivers(bench: Workbench) -> list[Receiver]:
    most = max((number for number in bench.scale.connections if number <= 32), default=bench.scale.connections[0])
    daemons = [fresh(bench, database) for database in bench.databases]
    daemons += [inviting(bench, database, most) for database in bench.databases]
    daemons += [seeded(bench, database, records) for records in bench.scale.seeded for database in bench.databases]
    return [
        *daemons,
        bare("python-hl7", label=REFERENCE),
        bare("hl7apy", reconnect=True),
        bare("hl7apy-unparsed", reconnect=True, label="hl7apy, unparsed"),
        bare("at-once", label=GENERATOR),
    ]


def _round(bench: Workbench, receivers: Sequence[Receiver], connections: int, number: int) -> list[Measured]:
    """Measure each receiver once; every other round backwards, so that a machine that slows down is fair to all."""
    order = range(len(receivers)) if number % 2 == 0 else range(len(receivers) - 1, -1, -1)
    found: dict[int, Measured] = {}
    for place in order:
        receiver = receivers[place]
        bench.say(f"durable_ingest: {connections} connections, round {number + 1}, {receiver.name} ({receiver.stores})")
        found[place] = measure(bench, receiver, connections)
    return [found[place] for place in range(len(receivers))]


def _rows(
    receivers: Sequence[Receiver], connections: int, rounds: Sequence[Sequence[Measured]], fsyncs: float
) -> Iterator[Row]:
    by_receiver = list(zip(receivers, zip(*rounds, strict=True), strict=True))
    reference = next(_rate(found) for receiver, found in by_receiver if receiver.name == REFERENCE)
    for receiver, found in by_receiver:
        rate = _rate(found)
        keeps = receiver.keeps
        sendings = [each.sending for each in found]
        memory = [each.memory for each in found]
        yield {
            "receiver": receiver.name,
            "stores": receiver.stores,
            "connections": connections,
            "rate": rate,
            "p50": scaled(middle([each.p50 for each in sendings]), 1e3),
            "p99": scaled(middle([each.p99 for each in sendings]), 1e3),
            "max": 1e3 * max(each.longest for each in sendings),
            "times_reference": ratio(rate, reference),
            "times_fsync": ratio(rate, fsyncs) if keeps else None,
            "rss": middle([each.rss if each else None for each in memory]),
            "peak": max((each.peak for each in memory if each), default=None),
            "family_rss": middle([each.family_rss if each else None for each in memory]),
            "cpu": middle([each.cpu for each in found]),
            "children_cpu": middle([each.children_cpu for each in found]),
            "busy": middle([each.busy for each in sendings]),
            "faults": sum(each.refused + each.lost for each in sendings),
        }


def _rate(found: Sequence[Measured]) -> float:
    return middle([each.sending.rate for each in found]) or 0.0


def _fsync_rows(bench: Workbench) -> list[Row]:
    rows: list[Row] = []
    for group in GROUPS:
        found = measure_fsync(bench.folder, group, bench.scale.fsync_seconds)
        rows.append(
            {
                "receiver": f"append, 1 fsync for {group}",
                "stores": "a plain file",
                "connections": None,
                "rate": found.rate,
                "p50": 1e3 * found.spread.p50,
                "p99": 1e3 * found.spread.p99,
                "max": 1e3 * found.spread.longest,
                "times_fsync": found.rate / _number(rows[0]["rate"]) if rows else 1.0,
            }
        )
    return rows


def _number(cell: object) -> float:
    assert isinstance(cell, float)
    return cell


def _title(bench: Workbench) -> str:
    scale = bench.scale
    return (
        f"Durable ingest: A28 of about 900 bytes, each connection waits for its ACK; "
        f"{scale.seconds:g} s windows, median of {scale.rounds}"
    )


def _notes(bench: Workbench) -> tuple[str, ...]:
    if POSTGRESQL not in bench.databases:
        return _NOTES
    said = ", ".join(f"{name}={bench.postgres_setting(name)}" for name in ("fsync", "synchronous_commit"))
    return (*_NOTES, f"PostgreSQL runs on {bench.postgres_filesystem} with {said}, and otherwise as it comes.")

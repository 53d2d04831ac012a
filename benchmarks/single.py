"""One connection, one message at a time: how much doorstep adds to the fsync that durability costs anyhow.

The same folder's fsync is timed right before and after each measurement, because a shared disk changes by the minute;
the generator's own round trip, against a receiver that answers at once, is the sockets' and the scheduler's part of it.
"""

from __future__ import annotations

from statistics import median
from typing import Final

from benchmarks.fsync_rate import measure_fsync
from benchmarks.receivers import Receiver, bare, fresh, measure
from benchmarks.report import Column, Row, Table
from benchmarks.workbench import Workbench

ALLOWED: Final = 1.5
"""Milliseconds above the fsync (SPEC 10)."""

_COLUMNS: Final = (
    Column("receiver", "receiver"),
    Column("stores", "stores in"),
    Column("rate", "messages/s", ",.0f"),
    Column("p50", "ACK p50 ms", ".2f"),
    Column("p99", "ACK p99 ms", ".2f"),
    Column("fsync", "fsync p50 ms", ".2f"),
    Column("above", "above it ms", ".2f"),
    Column("verdict", f"within {ALLOWED}"),
)


def run(bench: Workbench) -> Table:
    """Measure the daemon on each database, in turns with the disk."""
    receivers = [*(fresh(bench, database) for database in bench.databases), bare("at-once", label="generator alone")]
    found: dict[int, list[tuple[float, float, float, float]]] = {place: [] for place in range(len(receivers))}
    for number in range(bench.scale.rounds):
        for place, receiver in enumerate(receivers):
            bench.say(f"single: round {number + 1}, {receiver.name} ({receiver.stores})")
            found[place].append(_measured(bench, receiver))
    rows = [_row(receiver, found[place]) for place, receiver in enumerate(receivers)]
    notes = (
        f"SPEC 10: p50 within the machine's fsync time plus {ALLOWED} ms. A row is the median of its rounds.",
        "The fsync is of 4 KiB appended to a file in the folder of the SQLite database.",
    )
    return Table("single", "One connection, one message at a time", _COLUMNS, rows, notes)


def _measured(bench: Workbench, receiver: Receiver) -> tuple[float, float, float, float]:
    """Rate, p50 and p99 of the answers, and the fsync around them; times in ms."""
    half = bench.scale.fsync_seconds / 2
    before = measure_fsync(bench.folder, 1, half).spread.p50
    sending = measure(bench, receiver, 1).sending
    after = measure_fsync(bench.folder, 1, half).spread.p50
    return sending.rate, 1e3 * sending.p50, 1e3 * sending.p99, 1e3 * (before + after) / 2


def _row(receiver: Receiver, rounds: list[tuple[float, float, float, float]]) -> Row:
    rate, p50, p99, fsync = (median(values) for values in zip(*rounds, strict=True))
    above = median(one[1] - one[3] for one in rounds)
    row: Row = {"receiver": receiver.name, "stores": receiver.stores, "rate": rate, "p50": p50, "p99": p99}
    if receiver.keeps:
        row |= {"fsync": fsync, "above": above, "verdict": "yes" if above <= ALLOWED else "no"}
    return row

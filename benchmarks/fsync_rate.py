"""What this disk can do: 4 KiB appended for each message, and one fsync for a group of them.

It is the ceiling of every receiver that stores before it acknowledges. A group of 8 is what eight senders could share.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.report import Column, Latencies, Row, Table, latencies
from benchmarks.workbench import Workbench

GROUPS: Final = (1, 8, 32)
_PAGE: Final = b"\x5a" * 4096
_LEAST: Final = 3


class FsyncRate(Struct, frozen=True):
    """Appends in groups: ``rate`` in messages/s, and the spread (seconds) of one group with its fsync."""

    group: int
    rate: float
    spread: Latencies


def run(bench: Workbench) -> Table:
    """Measure the folder that the daemon's SQLite lies in."""
    rows: list[Row] = []
    for group in GROUPS:
        found = measure_fsync(bench.folder, group, bench.scale.fsync_seconds)
        rows.append(
            {
                "group": group,
                "fsyncs": found.rate / group,
                "rate": found.rate,
                "p50": 1e3 * found.spread.p50,
                "p99": 1e3 * found.spread.p99,
                "max": 1e3 * found.spread.longest,
            }
        )
    columns = (
        Column("group", "messages in one fsync", ","),
        Column("fsyncs", "fsyncs/s", ",.0f"),
        Column("rate", "messages/s", ",.0f"),
        Column("p50", "p50 ms", ".2f"),
        Column("p99", "p99 ms", ".2f"),
        Column("max", "max ms", ".1f"),
    )
    return Table("fsync_rate", "This disk: 4 KiB appended for each message, then one fsync", columns, rows)


def measure_fsync(folder: Path, group: int, seconds: float) -> FsyncRate:
    """Append and sync for so long, at least a few times, in a file that is gone afterwards."""
    path = folder / "fsync-rate"
    times: list[float] = []
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        ends = time.perf_counter() + seconds
        while len(times) < _LEAST or time.perf_counter() < ends:
            began = time.perf_counter()
            for _ in range(group):
                os.write(handle, _PAGE)
            os.fsync(handle)
            times.append(time.perf_counter() - began)
    finally:
        os.close(handle)
        path.unlink()
    return FsyncRate(group, group * len(times) / sum(times), latencies(times))

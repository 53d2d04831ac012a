"""How soon the daemon answers after it is started, and what it holds while nothing happens.

From the start of the process to ``ports.json``, which is written when every port is bound, just before READY is told.
The files are in the page cache, as after a restart and not after a reboot.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Final

from msgspec import Struct

from benchmarks.process_figures import Figures, figures
from benchmarks.report import Column, Row, Table, middle
from benchmarks.seeding import seed_all
from benchmarks.workbench import NOBODY_OF_AGE, Workbench
from tests.support.daemon_process import DaemonProcess
from tests.support.patience import SAFETY

_LOOK: Final = 0.001

_COLUMNS: Final = (
    Column("database", "database"),
    Column("starts", "starts", ","),
    Column("p50", "READY s, median", ".2f"),
    Column("max", "slowest", ".2f"),
    Column("stop", "stop s, median", ".2f"),
    Column("rss", "RSS at rest MiB", ".0f"),
    Column("peak", "peak", ".0f"),
    Column("family_rss", "with children", ".0f"),
)


class Started(Struct, frozen=True):
    """One life: seconds to READY and to stop, and memory at rest."""

    ready: float
    stop: float
    memory: Figures | None


def run(bench: Workbench) -> Table:
    """Start on a new database, then on one with people in it, on each database."""
    rows = [row for database in bench.databases for row in _rows(bench, database)]
    notes = (
        "SPEC 10: READY in under 2 s on an existing SQLite database; under 200 MiB at rest.",
        f"Memory is read {bench.scale.rest:g} s after READY.",
    )
    return Table("start", "Starting, stopping and resting", _COLUMNS, rows, notes)


def _rows(bench: Workbench, database: str) -> list[Row]:
    daemon = bench.daemon(database, NOBODY_OF_AGE)
    try:
        bench.say(f"start: a new database on {database}")
        first = [_life(daemon, 0.0)]
        count = bench.scale.start_records
        bench.say(f"start: seeding {count:,} people on {database}")
        seed_all(daemon.config, bench.serials(count), count)
        lives = [_life(daemon, bench.scale.rest) for _ in range(bench.scale.starts)]
    finally:
        bench.discard(daemon)
    label = f"existing {database}, {count:,} people"
    return [_row(f"new {database}", first), _row(label, lives)]


def _life(daemon: DaemonProcess, rest: float) -> Started:
    """Start, wait for its ports, let it rest, and stop it."""
    ports = daemon.folder / "ports.json"
    began = time.perf_counter()
    daemon.start(wait=False)  # it unlinks the ports of an earlier life
    assert daemon.process is not None
    while not ports.exists():
        if daemon.process.poll() is not None or time.perf_counter() - began > SAFETY:
            raise RuntimeError(f"the daemon did not start:\n{daemon.log_text[-2000:]}")
        time.sleep(_LOOK)
    ready = time.perf_counter() - began
    time.sleep(rest)
    memory = figures(daemon.pid)
    stopping = time.perf_counter()
    if daemon.terminate():
        raise RuntimeError(f"the daemon did not end well:\n{daemon.log_text[-2000:]}")
    return Started(ready, time.perf_counter() - stopping, memory)


def _row(label: str, lives: list[Started]) -> Row:
    memory = [life.memory for life in lives]
    return {
        "database": label,
        "starts": len(lives),
        "p50": median(life.ready for life in lives),
        "max": max(life.ready for life in lives),
        "stop": median(life.stop for life in lives),
        "rss": middle([each.rss if each else None for each in memory]),
        "peak": max((each.peak for each in memory if each), default=None),
        "family_rss": middle([each.family_rss if each else None for each in memory]),
    }

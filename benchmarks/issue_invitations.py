"""Inviting everybody at once: the first run of a hospital that has just sent all of its people.

The people are put in by another process, so the memory shown is that of the run alone: before it, after a tenth of it,
at its end and at most. Flat means that the last three are alike.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks.own_process import in_own_process
from benchmarks.process_figures import own_peak, own_rss
from benchmarks.report import Column, Row, Table
from benchmarks.seeding import house_of, seed_all
from benchmarks.workbench import Workbench

_COLUMNS: Final = (
    Column("database", "database"),
    Column("people", "people", ","),
    Column("seconds", "seconds", ",.1f"),
    Column("rate", "people/s", ",.0f"),
    Column("cpu", "CPU us/person", ",.0f"),
    Column("before", "RSS before MiB", ".0f"),
    Column("early", "at a tenth", ".0f"),
    Column("after", "at the end", ".0f"),
    Column("peak", "peak", ".0f"),
)


class Issued(Struct, frozen=True):
    """One run: people invited, seconds, processor seconds of the process, and its memory on the way in MiB."""

    people: int
    seconds: float
    cpu: float
    before: float | None
    early: float | None
    after: float | None
    peak: float | None


def run(bench: Workbench) -> Table:
    """Invite that many people on each database."""
    rows = [_row(database, _invited(bench, database)) for database in bench.databases]
    notes = (
        "SPEC 10: 100,000 people in under 60 s, memory flat.",
        "A pair, an invitation and an outbox entry each, a hundred to a transaction; each record is opened again.",
    )
    return Table("issue_invitations", "Issuing invitations to everybody at once", _COLUMNS, rows, notes)


def _invited(bench: Workbench, database: str) -> Issued:
    count = bench.scale.people
    daemon = bench.daemon(database)
    try:
        bench.say(f"issue_invitations: seeding {count:,} people on {database}")
        seed_all(daemon.config, bench.serials(count), count)
        bench.say(f"issue_invitations: inviting on {database}")
        issued = in_own_process(_issue, daemon.config, count)
    finally:
        bench.discard(daemon)
    if issued.people != count:
        raise RuntimeError(f"{issued.people:,} of {count:,} people were invited")
    return issued


def _issue(config: Path, count: int) -> Issued:
    house = house_of(config)
    early: list[float | None] = []

    def watch(issued: int) -> None:
        if not early and issued >= count / 10:
            early.append(own_rss())

    try:
        before, cpu, began = own_rss(), time.process_time(), time.perf_counter()
        report = house.invites.issue.run(progress=watch)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        house.close()
    return Issued(report.total, seconds, cpu, before, early[0] if early else None, own_rss(), own_peak())


def _row(database: str, issued: Issued) -> Row:
    return {
        "database": database,
        "people": issued.people,
        "seconds": issued.seconds,
        "rate": issued.people / issued.seconds,
        "cpu": 1e6 * issued.cpu / issued.people,
        "before": issued.before,
        "early": issued.early,
        "after": issued.after,
        "peak": issued.peak,
    }

"""From the outbox to the spool: claim, check again, render, mark, write, finish; each message a file with its fsync."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from benchmarks import feed
from benchmarks.fsync_rate import measure_fsync
from benchmarks.own_process import in_own_process
from benchmarks.process_figures import own_peak, own_rss
from benchmarks.report import Column, Row, Table, ratio
from benchmarks.seeding import house_of, seed
from benchmarks.workbench import Workbench

_COLUMNS: Final = (
    Column("database", "database"),
    Column("channel", "channel"),
    Column("count", "messages", ","),
    Column("seconds", "seconds", ",.1f"),
    Column("rate", "messages/s", ",.0f"),
    Column("times_fsync", "x fsync/s", ".2f"),
    Column("cpu", "CPU us/message", ",.0f"),
    Column("before", "RSS before MiB", ".0f"),
    Column("after", "at the end", ".0f"),
    Column("peak", "peak", ".0f"),
)


class Delivered(Struct, frozen=True):
    """One channel's run: messages, seconds, processor seconds, and the process's memory in MiB."""

    count: int
    seconds: float
    cpu: float
    before: float | None
    after: float | None
    peak: float | None


def run(bench: Workbench) -> Table:
    """Dispatch each channel's messages on each database."""
    fsyncs = measure_fsync(bench.folder, 1, bench.scale.fsync_seconds).rate
    rows = [row for database in bench.databases for row in _rows(bench, database, fsyncs)]
    notes = (
        "One lane after the other, each in a process of its own; the daemon runs them side by side.",
        f"x fsync/s: of the {fsyncs:,.0f} a second that this disk did just before, one file at a time.",
    )
    return Table("dispatch", "Dispatching invitations to the spool", _COLUMNS, rows, notes)


def _rows(bench: Workbench, database: str, fsyncs: float) -> list[Row]:
    scale = bench.scale
    counts = {feed.SMS: scale.sms, feed.EMAIL: scale.emails, feed.LETTER: scale.letters}
    daemon = bench.daemon(database)
    try:
        bench.say(f"dispatch: seeding {sum(counts.values()):,} people on {database}")
        seed(daemon.config, bench.serials(sum(counts.values())), counts)
        in_own_process(_issue, daemon.config)
        bench.say(f"dispatch: delivering on {database}")
        return [_row(daemon.config, database, channel, count, fsyncs) for channel, count in counts.items()]
    finally:
        bench.discard(daemon)


def _row(config: Path, database: str, channel: str, count: int, fsyncs: float) -> Row:
    done = in_own_process(_deliver, config, channel)
    files = sum(1 for file in (config.parent / "spool" / channel).iterdir() if not file.name.startswith("."))
    if not done.count == files == count:
        raise RuntimeError(f"{count:,} were to be delivered: {done.count:,} were accepted, {files:,} files are there")
    return {
        "database": database,
        "channel": channel,
        "count": count,
        "seconds": done.seconds,
        "rate": count / done.seconds,
        "times_fsync": ratio(count / done.seconds, fsyncs),
        "cpu": 1e6 * done.cpu / count,
        "before": done.before,
        "after": done.after,
        "peak": done.peak,
    }


def _issue(config: Path) -> None:
    house = house_of(config)
    try:
        house.invites.issue.run()
    finally:
        house.close()


def _deliver(config: Path, channel: str) -> Delivered:
    house = house_of(config)
    try:
        before, cpu, began = own_rss(), time.process_time(), time.perf_counter()
        report = house.invites.lanes[channel].run()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        house.close()
    return Delivered(report.outcomes["accepted"], seconds, cpu, before, own_rss(), own_peak())

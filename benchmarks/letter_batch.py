"""A day's letters: set, checked, gathered and handed over as one batch with its manifest, as a print house takes it.

As PDF each is set by typst and looked at before it is gathered; as a manifest alone there is nothing to set. The batch
is then read as its reader would: every file against its SHA-256.
"""

from __future__ import annotations

import csv
import hashlib
import os
import threading
import time
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from benchmarks import feed
from benchmarks.own_process import in_own_process
from benchmarks.process_figures import own_peak, own_rss
from benchmarks.report import Column, Row, Table
from benchmarks.seeding import house_of, seed
from benchmarks.workbench import CALM, Workbench

_COLUMNS: Final = (
    Column("database", "database"),
    Column("content", "content"),
    Column("count", "letters", ","),
    Column("seconds", "seconds", ",.1f"),
    Column("rate", "letters/s", ",.0f"),
    Column("closing", "of it closing", ",.2f"),
    Column("cpu", "CPU ms/letter", ",.1f"),
    Column("before", "RSS before MiB", ".0f"),
    Column("half", "at half", ".0f"),
    Column("after", "at the end", ".0f"),
    Column("peak", "peak", ".0f"),
)
_LOOK: Final = 0.2
"""Seconds between two looks."""

_CONTENTS: Final = ("pdf", "manifest")


class Handed(Struct, frozen=True):
    """One batch: letters, seconds (of them closing), processor seconds, and the process's memory in MiB."""

    letters: int
    seconds: float
    closing: float
    cpu: float
    before: float | None
    half: float | None
    after: float | None
    peak: float | None


def run(bench: Workbench) -> Table:
    """Hand over one batch of each content on each database."""
    rows = [_row(bench, database, content) for database in bench.databases for content in _CONTENTS]
    notes = ("One process, the letters' lane alone; the files' fsyncs are in it.",)
    return Table("letter_batch", "A batch of letters for a print house", _COLUMNS, rows, notes)


def _row(bench: Workbench, database: str, content: str) -> Row:
    count = bench.scale.batch_of_letters
    letter = {"provider": "dropfolder", "dropfolder": {"folder": "letters", "content": content}}
    daemon = bench.daemon(database, {**CALM, "delivery": {"letter": letter}})
    try:
        bench.say(f"letter_batch: seeding {count:,} people on {database}")
        seed(daemon.config, bench.serials(count), {feed.LETTER: count})
        bench.say(f"letter_batch: handing over as {content} on {database}")
        done = in_own_process(_hand_over, daemon.config, count)
        found = _found(daemon.config.parent / "letters" / "batches")
        if not done.letters == found == count:
            raise RuntimeError(f"{count:,} letters were to be in one batch: {done.letters:,} are, {found:,} are whole")
        return {
            "database": database,
            "content": content,
            "count": count,
            "seconds": done.seconds,
            "rate": count / done.seconds,
            "closing": done.closing,
            "cpu": 1e3 * done.cpu / count,
            "before": done.before,
            "half": done.half,
            "after": done.after,
            "peak": done.peak,
        }
    finally:
        bench.discard(daemon)


def _hand_over(config: Path, count: int) -> Handed:
    house = house_of(config)
    watch = _Watch(config.parent / "letters", count)
    try:
        house.invites.issue.run()
        before, cpu, began = own_rss(), time.process_time(), time.perf_counter()
        with watch:
            report = house.invites.lanes[feed.LETTER].run()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    finally:
        house.close()
    letters = report.handed_over.letters if report.handed_over else 0
    return Handed(letters, seconds, watch.closing, cpu, before, watch.half, own_rss(), own_peak())


class _Watch:
    """Looks at the folder from a thread: memory when half of the letters lie there, and how long closing takes."""

    def __init__(self, folder: Path, count: int) -> None:
        self._folder = folder
        self._count = count
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.half: float | None = None
        self.closing = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        began = None
        while not self._over.wait(_LOOK):
            gathered = sum(1 for _ in os.scandir(self._folder / ".open"))
            if self.half is None and gathered >= self._count // 2:
                self.half = own_rss()
            if began is None and any(self._folder.glob(".closing-*")):
                began = time.perf_counter()
        if began is not None:
            self.closing = time.perf_counter() - began


def _found(batches: Path) -> int:
    """Read the one batch as a print house would; gives how many letters are as its manifest says."""
    [batch] = batches.iterdir()
    with (batch / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return sum(_whole(batch, row) for row in csv.DictReader(file))


def _whole(batch: Path, row: dict[str, str]) -> bool:
    if "file" not in row:
        return bool(row["invitation_code"] and row["address_line_3"])
    return hashlib.sha256((batch / row["file"]).read_bytes()).hexdigest() == row["sha256"]

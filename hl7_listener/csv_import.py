"""A spreadsheet applied like a feed (SPEC 3.7): good rows settled many at a time, bad rows handed back with reasons.

Running it twice changes nothing: the second time every row is a duplicate of its own message. Ended halfway, it is run
again from the start; what was settled stays settled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from msgspec import Struct

from hl7_listener.arrival import Settled
from hl7_listener.csv_file import Rejects, Row, Survey, rows_of
from hl7_listener.csv_rows import BadRow, Rows
from hl7_listener.options import ListenerOptions
from hl7_listener.reprocessing import Fate, Reprocessed, Reprocessing, Unsettled
from patient_records.reconcile import Outcome

LISTENER: Final = "csv"
"""The listener's name in the journal, for what came by no listener."""

BATCH: Final = 200
"""Rows in one transaction: past about a hundred the sync is no longer what costs, and a feed beside it waits less."""


class CsvReport(Struct, frozen=True):
    """What became of the rows: counts that add up to ``rows``, findings by column, and where the rejected ones are.

    ``unchanged`` rows are duplicates and those that said nothing new; ``stale`` ones were overtaken by the feed.
    """

    rows: int
    created: int
    changed: int
    unchanged: int
    stale: int
    held: int
    rejected: int
    findings: dict[str, int]
    rejected_file: Path | None


class CsvImport:
    """Imports one file."""

    def __init__(self, reprocessing: Reprocessing, listeners: Mapping[str, ListenerOptions]) -> None:
        """``listeners`` has, by organisation code, what a listener of that organisation would be told."""
        self._reprocessing = reprocessing
        self._listeners = listeners

    def run(
        self,
        path: Path,
        found: Survey,
        rows: Rows,
        *,
        progress: Callable[[int], None] = lambda _done: None,
        pause: Callable[[], None] = lambda: None,
    ) -> CsvReport:
        """Settle the file's rows; ``progress`` hears how many are done, ``pause`` is called between transactions.

        Raises OSError, CsvFault, StorageUnavailable, KeyFault; what was settled before stays so, and no half-written
        file of rejected rows is left.
        """
        counts: Counter[str] = Counter()
        findings: Counter[str] = Counter()
        rejects = Rejects(path, found)
        done = 0
        try:
            for batch in _batches(rows_of(path, found)):
                for row, reason in self._settle(batch, rows, counts, findings):
                    rejects.add(row, reason)
                done += len(batch)
                progress(done)
                pause()
        except BaseException:
            rejects.abandon()
            raise
        return CsvReport(
            rows=done,
            created=counts["created"],
            changed=counts["changed"],
            unchanged=counts["unchanged"],
            stale=counts["stale"],
            held=counts["held"],
            rejected=counts["rejected"],
            findings=dict(findings),
            rejected_file=rejects.finish(),
        )

    def _settle(
        self, batch: list[Row], rows: Rows, counts: Counter[str], findings: Counter[str]
    ) -> Iterator[tuple[Row, str]]:
        """Settle the good rows of a batch; gives those that did not go in, each with the reason."""
        good: list[tuple[Row, Reprocessed]] = []
        for row in batch:
            made = rows.message(row.values) if row.fits else BadRow("another number of values than the header has")
            if isinstance(made, BadRow):
                counts["rejected"] += 1
                yield row, made.reason
            else:
                good.append((row, Reprocessed(self._listeners[made.organisation], made.raw, rows.as_of, row.line)))
        for (row, _), settled in zip(good, self._reprocessing.settle([message for _, message in good]), strict=True):
            what, reason = _fate(settled)
            counts[what] += 1
            if isinstance(settled, Settled):
                findings.update(settled.findings)
            if reason:
                yield row, reason


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(islice(rows, BATCH)):
        yield batch


def _fate(settled: Fate) -> tuple[str, str]:
    """Name what became of a row, for the count, and why it comes back to its sender, if it does."""
    if isinstance(settled, Unsettled):
        return "rejected", "doorstep failed over this row; its log says where"
    match settled.outcome:
        case Outcome.APPLIED:
            created = "created" in settled.changes
            return "created" if created else "changed" if settled.changes else "unchanged", ""
        case Outcome.STALE | Outcome.DUPLICATE:
            return ("stale" if settled.outcome is Outcome.STALE else "unchanged"), ""
        case Outcome.HELD:
            return "held", f"held: {settled.reason} (waits in quarantine as {settled.journal_id})"
        case _:
            return "rejected", settled.reason

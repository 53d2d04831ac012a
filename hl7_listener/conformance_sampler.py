"""Conformance checks of committed messages, off the way: sampled, checked in another process, counted for the report.

Three parties: the ingest's thread offers each committed batch (:mod:`conformance_queue`), one thread here takes from
that queue, has each message checked (:mod:`conformance_process`) and adds up what is found, and every few seconds it
stores the sums in a small transaction of their own. Nothing of this can delay, refuse or lose a message: what cannot be
checked or stored is counted and dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, ParamSpec

from msgspec import Struct

from hl7_listener.arrival import Settled
from hl7_listener.conformance_checker import Checker
from hl7_listener.conformance_process import CheckFailed, CheckingProcess
from hl7_listener.conformance_queue import CheckQueue, Waiting
from hl7_listener.finding import MOST_BYTES, TOO_LARGE_TO_CHECK, TOO_SLOW_TO_CHECK, Finding
from hl7_listener.finding_tally import FindingTally
from patient_records import findings
from patient_records.errors import RecordsError, StorageConflict
from patient_records.unit_of_work import Database

STORED_EVERY: Final = timedelta(seconds=5)
"""Findings wait this long for company: each store is an fsync that the feed would like to have."""
MOST_AT_ONCE: Final = 500
_ATTEMPTS: Final = 3
_LATE, _RESTING = "late", "resting"

P = ParamSpec("P")


class SamplerCounts(Struct, frozen=True):
    """What became of messages and findings since the start.

    ``checked`` messages, ``faulty`` those of them with findings, ``not_checked`` those that found no room in the queue
    or no process, ``abandoned`` those whose check was ended; ``starts`` of the checking process; ``dropped`` findings
    that were not stored, because storage failed or no row was left for them.
    """

    checked: int = 0
    faulty: int = 0
    not_checked: int = 0
    abandoned: int = 0
    starts: int = 0
    dropped: int = 0


class ConformanceSampler:
    """The checks of all listeners of a daemon, according to each one's ``validation``.

    ``monotonic`` gives seconds; ``internal_error`` hears of faults of ours (:class:`hl7_listener.telemetry.Telemetry`).
    """

    def __init__(
        self,
        database: Database,
        monotonic: Callable[[], float],
        internal_error: Callable[[BaseException], None],
        *,
        checker: Checker | None = None,
        stored_every: timedelta = STORED_EVERY,
    ) -> None:
        self._database = database
        self._monotonic = monotonic
        self._internal_error = internal_error
        self._checker: Checker = checker or CheckingProcess(monotonic)
        self._stored_every = stored_every.total_seconds()
        self._queue = CheckQueue(monotonic)
        self._tally = FindingTally()
        self._knows_rows = False
        self._next_store: float | None = None  # None: nothing to store
        self._checked = self._faulty = self._not_checked = self._abandoned = self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="conformance", daemon=True)

    def offer(self, settled: Sequence[Settled]) -> None:
        """Take what is due of a committed batch. Called on the ingest's thread; never waits, never raises."""
        self._queue.offer(settled)

    @property
    def counts(self) -> SamplerCounts:
        """The counts so far; from any thread."""
        return SamplerCounts(
            self._checked,
            self._faulty,
            self._not_checked + self._queue.refused,
            self._abandoned,
            self._checker.starts,
            self._dropped + self._tally.beyond,
        )

    def start(self) -> None:
        """Start the thread; the process is started with the first message."""
        self._thread.start()

    def stop(self, deadline: timedelta) -> None:
        """Check what waits until the deadline, store what was found, end thread and process.

        Blocks for the deadline, and then for no longer than a store takes.
        """
        self._queue.close()
        self._thread.join(deadline.total_seconds())
        if self._thread.is_alive():
            self._queue.empty()
            self._checker.end()
            self._thread.join()

    def _run(self) -> None:
        try:
            while (waiting := self._queue.take(self._pause())) or not self._queue.closed:
                self._guarded(self._step, waiting)
            self._guarded(self._store)
        finally:
            self._checker.close()

    def _guarded(self, step: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        try:
            step(*given, **named)
        except Exception as error:  # noqa: BLE001 (a fault of ours in one message must not end the checks)
            self._internal_error(error)

    def _pause(self) -> float | None:
        """Seconds until there is something to store; None: for as long as it takes."""
        return None if self._next_store is None else max(self._next_store - self._monotonic(), 0.0)

    def _step(self, waiting: Waiting | None) -> None:
        if waiting is not None:
            self._check(waiting)
        self._store_if_due()

    def _check(self, waiting: Waiting) -> None:
        found = self._found(waiting)
        if not found:
            return
        self._faulty += 1
        self._learn_rows()
        self._tally.add(waiting.sender, waiting.journal_id, waiting.received_at, found)
        if self._next_store is None:
            self._next_store = self._monotonic() + self._stored_every

    def _found(self, waiting: Waiting) -> tuple[Finding, ...]:
        if waiting.checked is not None:
            self._checked += 1
            return waiting.checked
        if len(waiting.raw) > MOST_BYTES:
            self._checked += 1
            return (Finding(TOO_LARGE_TO_CHECK),)
        try:
            found = self._checker.check(waiting.raw, waiting.charset, waiting.profiles)
        except CheckFailed as error:
            if error.code == _RESTING or self._queue.closed:
                self._not_checked += 1
                return ()
            self._abandoned += 1
            return (Finding(TOO_SLOW_TO_CHECK),) if error.code == _LATE else ()
        self._checked += 1
        return found

    def _learn_rows(self) -> None:
        """Learn what the table has already, once; without a database the bounds hold for this run alone."""
        if not self._knows_rows:
            try:
                with self._database.read() as connection:
                    self._tally.remember(findings.counted(connection))
                self._knows_rows = True
            except RecordsError:
                return

    def _store_if_due(self) -> None:
        due = self._next_store is not None and self._monotonic() >= self._next_store
        if due or len(self._tally) >= MOST_AT_ONCE:
            self._store()

    def _store(self) -> None:
        self._next_store = None
        counts = self._tally.taken()
        if not counts:
            return
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._database.begin() as connection:
                    findings.add(connection, counts)
            except StorageConflict:
                if attempt < _ATTEMPTS:
                    continue
            except RecordsError:
                pass
            else:
                return
            break
        self._dropped += sum(one.count for one in counts)

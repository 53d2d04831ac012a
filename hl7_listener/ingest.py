"""Commit, then acknowledge: one writer for all connections, one fsync for as many messages as are waiting.

Connections hand in arrivals and go on reading; a thread of its own takes all that wait, settles them in one
transaction, and only after the commit has returned do the answers go back to the event loop. There is no other way to
an answer: a positive acknowledgment cannot precede its commit, because it is made of what the commit returned.

*Order.* The queue keeps each connection's order, and one writer keeps each patient's.

*Convoys.* With plain group commit the senders fall into two groups that take turns: while one group's batch is being
synced, the other's messages gather, and so each fsync serves half of them. So the writer waits a little before a
commit, until as many messages are there as took part in the last round, and never longer than half of what a commit
costs of late: nothing is lost with one connection, and much is won with eight (measured in ``benchmarks/``).

*Failure.* When storage fails nothing of the batch is committed and nothing is acknowledged; each listener's
``on_storage_failure`` decides between a closed connection and a NAK. When one message cannot be processed because of a
fault of ours, the batch is done again one by one, and that one is kept in quarantine and answered AE.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from msgspec.structs import replace

from hl7_listener.arrival import INTERNAL_ERROR, Arrival, Settled
from hl7_listener.batch import Batch, Stores
from hl7_listener.options import CLOSE
from hl7_listener.telemetry import Telemetry
from patient_records.errors import RecordsError, StorageConflict, StorageUnavailable
from patient_records.unit_of_work import Database

MOST_MESSAGES: Final = 256
"""Messages in one commit: past about a hundred an fsync is no longer what costs, and answers would wait."""

MOST_BYTES: Final = 8 << 20
"""Bytes in one commit: a few large messages make a batch, too."""

_LONGEST_WAIT: Final = 0.004
_ATTEMPTS: Final = 5

T = TypeVar("T")


class Ingest:
    """The writer. Start it in the event loop that the connections run in; stop it after they are drained."""

    def __init__(self, database: Database, stores: Stores, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._stores = stores
        self._telemetry = telemetry
        self._clock = clock
        self._queue: deque[Arrival] = deque()
        self._ready = threading.Condition()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._round = 1  # how many messages took part in the last round: the batch, and who waited behind it
        self._cost = 0.0  # seconds that a commit takes of late
        self.healthy = True

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the writer's thread; answers are given back in ``loop``."""
        self._loop = loop
        self._thread.start()

    def stop(self) -> None:
        """Commit what is queued, then end the thread; blocks until it has ended."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
        self._thread.join()

    @property
    def backlog(self) -> int:
        """Arrivals that wait for the writer."""
        return len(self._queue)

    def submit(self, arrivals: Sequence[Arrival]) -> None:
        """Hand in arrivals of one connection, in their order. Never blocks; the connection limits itself."""
        with self._ready:
            self._queue.extend(arrivals)
            self._ready.notify()

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            self._commit(batch)

    def _take(self) -> list[Arrival] | None:
        """What the next commit carries; None at the end."""
        with self._ready:
            while not self._queue:
                if self._stopping:
                    return None
                self._ready.wait()
            self._wait_for_the_others()
            batch: list[Arrival] = []
            octets = 0
            while self._queue and len(batch) < MOST_MESSAGES and octets < MOST_BYTES:
                batch.append(self._queue.popleft())
                octets += len(batch[-1].raw)
            return batch

    def _wait_for_the_others(self) -> None:
        deadline = time.monotonic() + min(self._cost / 2, _LONGEST_WAIT)
        while len(self._queue) < min(self._round, MOST_MESSAGES) and not self._stopping:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                break
            self._ready.wait(remaining)

    def _commit(self, batch: list[Arrival]) -> None:
        abandoned = [arrival for arrival in batch if arrival.source.abandoned]
        if abandoned:  # its connection closes, and must not go on counting what it handed in
            self._in_loop(_tell_failed, abandoned)
            batch = [arrival for arrival in batch if not arrival.source.abandoned]
        if not batch:
            return
        started = time.perf_counter()
        try:
            settled = self._transact(batch)
        except (StorageUnavailable, StorageConflict) as error:
            self._fail(batch, error.code)
            return
        except Exception as error:  # noqa: BLE001 (a fault of ours in one message must not stop the feed)
            self._one_by_one(batch, error)
            return
        seconds = time.perf_counter() - started
        self._deliver(settled)
        self._cost += (seconds - self._cost) / 8
        self._round = len(batch) + len(self._queue)
        self.healthy = True
        self._telemetry.committed(settled, seconds)

    def _transact(self, batch: Sequence[Arrival]) -> list[Settled]:
        """One transaction, tried again when another daemon changed the same rows."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._database.begin() as connection:
                    return Batch(self._stores, connection, self._clock()).settle(batch)
            except StorageConflict:
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _one_by_one(self, batch: Sequence[Arrival], error: Exception) -> None:
        if len(batch) > 1:
            for arrival in batch:
                self._commit([arrival])
            return
        self._telemetry.internal_error(error)
        if isinstance(error, RecordsError):
            self._fail(batch, type(error).__name__)  # a key or a seal: nothing can be promised before it is mended
            return
        try:
            settled = self._transact([replace(batch[0], meaning=INTERNAL_ERROR)])
        except Exception as second:  # noqa: BLE001 (not even kept: then it is not answered either)
            self._telemetry.internal_error(second)
            self._fail(batch, "internal")
            return
        self._deliver(settled)
        self._telemetry.committed(settled, 0.0)

    def _fail(self, batch: Sequence[Arrival], code: str) -> None:
        self.healthy = False
        for arrival in batch:
            if arrival.listener.on_storage_failure == CLOSE:
                arrival.source.abandoned = True
        self._telemetry.storage_failed(code, len(batch))
        self._in_loop(_tell_failed, batch)

    def _deliver(self, settled: Sequence[Settled]) -> None:
        self._in_loop(_tell_settled, settled)

    def _in_loop(self, call: Callable[[Sequence[T]], None], what: Sequence[T]) -> None:
        if self._loop is None:
            raise RuntimeError("the ingest was not started")
        self._loop.call_soon_threadsafe(call, what)


def _tell_failed(batch: Sequence[Arrival]) -> None:
    for arrival in batch:
        arrival.source.failed(arrival)


def _tell_settled(settled: Sequence[Settled]) -> None:
    for one in settled:
        one.arrival.source.settled(one)

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
``on_storage_failure`` decides between a closed connection and a NAK. Everything else that goes wrong is put down to one
message: a conflict that does not pass, a sealed value that does not open, a fault of ours. The batch is halved until
that message is alone, the others are committed, and it is kept in quarantine and answered AE. A closed connection would
bring it back at once, in the same company, for ever.

*The thread* outlives whatever is raised in it. If a batch is left in an unknown state all the same, its connections are
given up: their senders send again what they have no answer for, and what was committed is then a duplicate.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

from msgspec.structs import replace

from hl7_listener.arrival import INTERNAL_ERROR, Answerable, Arrival, Settled
from hl7_listener.batch import Batch, Stores
from hl7_listener.guarded_telemetry import GuardedTelemetry
from hl7_listener.options import CLOSE
from hl7_listener.telemetry import Telemetry
from patient_records.errors import RecordsError, SealBroken, StorageConflict, StorageUnavailable
from patient_records.unit_of_work import Database

MOST_MESSAGES: Final = 256
"""Messages in one commit: past about a hundred an fsync is no longer what costs, and answers would wait."""

MOST_BYTES: Final = 8 << 20
"""Bytes in one commit: a few large messages make a batch, too."""

STUCK: Final = 60.0
"""Seconds: a step of a transaction that takes longer than any statement may will not come back by itself.

A step, not the whole: ten thousand merges in one frame are one transaction, and each of them is work that was done.
Ended in the middle of it by systemd, the daemon would be sent the same frame again, for ever.
"""

_LONGEST_WAIT: Final = 0.004
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.005
"""Seconds between attempts, times their number: whom we conflict with must get somewhere first."""

T = TypeVar("T")


class Ingest:
    """The writer. Start it in the event loop that the connections run in; stop it after they are drained."""

    def __init__(self, database: Database, stores: Stores, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._stores = stores
        self._telemetry = GuardedTelemetry(telemetry)
        self._clock = clock
        self._queue: deque[Arrival] = deque()
        self._ready = threading.Condition()
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="ingest", daemon=True)
        self._round = 1  # how many messages took part in the last round: the batch, and who waited behind it
        self._cost = 0.0  # seconds that a commit takes of late
        self._since: float | None = None  # when the transaction in hand began, or got a step further
        self.healthy = True

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the writer's thread; answers are given back in ``loop``."""
        self._loop = loop
        self._thread.start()

    def stop(self, timeout: float | None = None) -> bool:
        """Commit what is queued, then end the thread; blocks until it has ended, or for ``timeout`` seconds.

        Whether it has ended. If not, it waits for storage; a process that ends all the same loses nothing by that,
        for what is not committed was not acknowledged.
        """
        with self._ready:
            self._stopping = True
            self._ready.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def working(self, patience: float = STUCK) -> bool:
        """Whether the writer's thread lives, and has not been at one step for longer than ``patience`` seconds."""
        since = self._since
        return self._thread.is_alive() and (since is None or time.monotonic() - since <= patience)

    def probed(self) -> None:
        """Hear that the database writes and reads: then it is well, unless it is the thread that is not."""
        if self.working():
            self.healthy = True

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
        going = True
        while going:
            batch: list[Arrival] = []
            try:
                going = self._take(batch)
                self._commit(batch)
            except BaseException as error:  # noqa: BLE001 (without this thread nobody would be answered again)
                self._lost_track(batch, error)

    def _take(self, batch: list[Arrival]) -> bool:
        """Fill in what the next commit carries; False, and nothing, at the end."""
        with self._ready:
            while not self._queue:
                if self._stopping:
                    return False
                self._ready.wait()
            self._wait_for_the_others()
            octets = 0
            while self._queue and (
                (len(batch) < MOST_MESSAGES and octets < MOST_BYTES) or self._queue[0].follows  # a frame stays whole
            ):
                batch.append(self._queue.popleft())
                octets += len(batch[-1].raw)
            return True

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
            self._in_loop(self._tell_failed, abandoned)
            batch = [arrival for arrival in batch if not arrival.source.abandoned]
        if not batch:
            return
        started = time.perf_counter()
        try:
            settled = self._transact(batch)
        except StorageUnavailable as error:
            self._fail(batch, error.code)
            return
        except Exception as error:  # noqa: BLE001 (whatever one message brings about must not stop the feed)
            self._single_out(batch, error)
            return
        seconds = time.perf_counter() - started
        self._deliver(settled, seconds)
        self._cost += (seconds - self._cost) / 8
        self._round = len(batch) + len(self._queue)

    def _transact(self, batch: Sequence[Arrival]) -> list[Settled]:
        """One transaction, tried again when another daemon changed the same rows."""
        try:
            for attempt in range(1, _ATTEMPTS + 1):
                self._alive()
                try:
                    with self._database.begin() as connection:
                        self._alive()
                        return Batch(self._stores, connection, self._clock(), self._alive).settle(batch)
                except StorageConflict:
                    if attempt == _ATTEMPTS:
                        raise
                    time.sleep(_PAUSE * attempt)
        finally:
            self._since = None
        raise AssertionError("unreachable")

    def _alive(self) -> None:
        """Note that the transaction got a step further."""
        self._since = time.monotonic()

    def _single_out(self, batch: list[Arrival], error: Exception) -> None:
        """Find the message that the batch failed over, by halves: a few transactions, however many it has."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._commit(batch[:middle])
            self._commit(batch[middle:])
            return
        self._telemetry.internal_error(error)
        if isinstance(error, RecordsError) and not isinstance(error, SealBroken | StorageConflict):
            self._fail(batch, type(error).__name__)  # a key: nothing can be promised before it is mended
            return
        self._keep(batch[0])

    def _keep(self, arrival: Arrival) -> None:
        """Keep a message that cannot be processed, and touch nothing else with it."""
        try:
            settled = self._transact([replace(arrival, meaning=INTERNAL_ERROR)])
        except StorageUnavailable as error:
            self._fail([arrival], error.code)
        except Exception as error:  # noqa: BLE001 (not even kept: then it is not answered either)
            self._telemetry.internal_error(error)
            self._fail([arrival], "internal")
        else:
            self._deliver(settled, 0.0)

    def _fail(self, batch: Sequence[Arrival], code: str) -> None:
        self.healthy = False
        for arrival in batch:
            if arrival.listener.on_storage_failure == CLOSE:
                arrival.source.abandoned = True
        self._in_loop(self._tell_failed, batch)
        self._telemetry.storage_failed(code, len(batch))

    def _deliver(self, settled: Sequence[Settled], seconds: float) -> None:
        self._in_loop(self._tell_settled, settled)
        self.healthy = True
        self._telemetry.committed(settled, seconds)

    def _lost_track(self, batch: Sequence[Arrival], error: BaseException) -> None:
        """Give up the connections of a batch of which nobody knows how far it came."""
        self.healthy = False
        for arrival in batch:
            arrival.source.abandoned = True
        self._telemetry.internal_error(error)
        with contextlib.suppress(Exception):
            self._in_loop(self._tell_given_up, batch)

    # ---- in the event loop -------------------------------------------------------------------------------------------

    def _in_loop(self, call: Callable[[Sequence[T]], None], what: Sequence[T]) -> None:
        if self._loop is None:
            raise RuntimeError("the ingest was not started")
        self._loop.call_soon_threadsafe(call, what)

    def _tell_settled(self, settled: Sequence[Settled]) -> None:
        for one in settled:
            try:
                one.arrival.source.settled(one)
            except Exception as error:  # noqa: BLE001 (a fault in one connection is not the others')
                self._give_up(one.arrival.source, error)

    def _tell_failed(self, batch: Sequence[Arrival]) -> None:
        for arrival in batch:
            try:
                arrival.source.failed(arrival)
            except Exception as error:  # noqa: BLE001 (as above)
                self._give_up(arrival.source, error)

    def _tell_given_up(self, batch: Sequence[Arrival]) -> None:
        for arrival in batch:
            self._give_up(arrival.source, None)

    def _give_up(self, source: Answerable, error: Exception | None) -> None:
        if error is not None:
            self._telemetry.internal_error(error)
        try:
            source.give_up()
        except Exception as second:  # noqa: BLE001 (as above)
            self._telemetry.internal_error(second)

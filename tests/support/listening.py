"""A real listener with its socket, in this process: for tests that must reach into it.

The event loop runs in a thread of its own, so that tests speak to it as a sender does, over blocking sockets, and may
still make its storage fail, hold its writer back or look at its counters. What needs a process of its own (kill, drain,
start) uses :mod:`tests.support.daemon_process`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection, select

from hl7_listener.arrival import Settled
from hl7_listener.certificates import TlsOptions
from hl7_listener.conformance_checker import Checker
from hl7_listener.conformance_gate import ConformanceGate
from hl7_listener.conformance_process import CheckingProcess
from hl7_listener.ingest import Ingest
from hl7_listener.server import Listener
from hl7_listener.tls import TlsSide
from invites.channels.loop_thread import LoopThread
from patient_records import tables
from patient_records.errors import StorageConflict, StorageUnavailable
from tests.support.hospital import Hospital
from tests.support.mllp import Wire
from tests.support.patience import SAFETY, eventually

T = TypeVar("T")


class Recorder:
    """Telemetry that remembers."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.settled: list[Settled] = []
        self.errors: list[BaseException] = []

    def connected(self, _listener: str, change: int) -> None:
        """Count open connections."""
        self.counts["connections"] += change

    def refused_connection(self, _listener: str, reason: str) -> None:
        """Count by reason."""
        self.counts[f"refused {reason}"] += 1

    def received(self, _listener: str, octets: int) -> None:
        """Count bytes."""
        self.counts["received"] += octets

    def skipped(self, _listener: str, octets: int) -> None:
        """Count fillers."""
        self.counts["skipped"] += octets

    def limited(self, _listener: str, reason: str) -> None:
        """Count by reason."""
        self.counts[f"limited {reason}"] += 1

    def committed(self, settled: Sequence[Settled], _seconds: float) -> None:
        """Keep what was settled."""
        self.counts["batches"] += 1
        self.settled += settled

    def storage_failed(self, _code: str, arrivals: int) -> None:
        """Count arrivals that were not stored."""
        self.counts["not stored"] += arrivals

    def internal_error(self, error: BaseException) -> None:
        """Keep the fault."""
        self.errors.append(error)


class Listening:
    """One listener over the database of that URL; ``changes`` are fields of its options, ``tls`` and ``checker``.

    ``beside`` is a second daemon, on the same database.

    While ``broken`` is set writing transactions fail (``once``: the first one only); while ``held`` the writer waits.
    ``conflicts`` counts transactions that somebody else's kept from committing, by SQLSTATE.
    """

    def __init__(self, database_url: str, *, beside: Listening | None = None, **changes: Any) -> None:
        tls: TlsOptions | None = changes.pop("tls", None)
        checker: Checker | None = changes.pop("checker", None)
        self.hospital: Hospital = Hospital(database_url, beside=beside.hospital if beside else None)
        self.options = replace(self.hospital.listener, **changes)
        self.told = Recorder()
        self.broken = threading.Event()
        self.once = False
        self._going = threading.Event()
        self._going.set()
        self.conflicts: Counter[str] = Counter()
        self._begin = self.hospital.database.begin
        self.hospital.database.begin = self._guarded  # type: ignore[method-assign]  # the point of this class
        self.ingest = Ingest(self.hospital.database, self.hospital._stores, self.told, lambda: datetime.now(UTC))
        self._loop = LoopThread("listening")
        self.tls = None if tls is None else TlsSide(tls, datetime.now(UTC))
        self.gate = ConformanceGate(self.ingest, checker or CheckingProcess(time.monotonic), self.told.errors.append)
        front = self.gate if self.options.enforces else self.ingest
        self.listener = Listener(self.options, front, self.told, lambda: datetime.now(UTC), self.tls)
        self.port = 0

    def __enter__(self) -> Self:
        self.in_loop(lambda: self.ingest.start(asyncio.get_running_loop()))
        self.gate.start()
        self.port = self.run(self.listener.start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._going.set()
        for connection in tuple(self.listener._connections):
            self.in_loop(connection.abort)
        eventually(lambda: self.listener.connections == 0, "the connections to end")
        self.run(self.listener.drain(self.options.frame_deadline))
        self.gate.stop(SAFETY)
        self.ingest.stop()
        self._loop.close(_executor_ended, SAFETY)
        self.hospital.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the listener's loop and give its result."""
        return self._loop.run(lambda: coroutine, SAFETY)

    def in_loop(self, call: Callable[[], T]) -> T:
        """Call something in the listener's loop, where its state may be looked at."""

        async def called() -> T:
            return call()

        return self.run(called())

    def wire(self, *, tls: ssl.SSLContext | None = None) -> Wire:
        """Connect to it."""
        return Wire(self.port, tls=tls)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the writer back: what arrives meanwhile waits, and is one batch or a few afterwards."""
        self._going.clear()
        try:
            yield
        finally:
            self._going.set()

    def rows(self, name: str) -> list[dict[str, Any]]:
        """All rows of a table, in the order of ids."""
        table = tables.metadata.tables[name]
        with self.hospital.database.read() as connection:
            found = connection.execute(select(table).order_by(*table.primary_key.columns))
            return [dict(row._mapping) for row in found]

    def healthy(self) -> bool:
        """Whether the last thing that was to be stored was."""
        return self.ingest.healthy

    @property
    def outcomes(self) -> list[str]:
        """What the journal says of each message, in order."""
        return [row["outcome"] for row in self.rows("journal")]

    @property
    def quarantine(self) -> list[str]:
        """The reasons for which something waits for a person, in order."""
        return [row["reason"] for row in self.rows("quarantine")]

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[Connection]:
        assert self._going.wait(SAFETY), "nobody let the writer go"
        if self.broken.is_set():
            if self.once:
                self.broken.clear()
            raise StorageUnavailable("broken_by_test")
        try:
            with self._begin() as connection:
                yield connection
        except StorageConflict as conflict:
            self.conflicts[conflict.code] += 1
            raise


async def _executor_ended() -> None:
    await asyncio.get_running_loop().shutdown_default_executor()

"""Who receives what the load generator sends: the real daemon on a real database, or a bare server.

Each is opened for one measurement: a process of its own, a new database where one is needed. After a measurement of the
daemon its journal is counted: every message that was acknowledged must be there, or the number is worth nothing.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import func, select

from benchmarks.load_generator import ROOT, Order, Sending, generate
from benchmarks.process_figures import Figures, figures
from benchmarks.seeding import seed_all
from benchmarks.workbench import NOBODY_OF_AGE, Workbench
from patient_records.tables import journal
from patient_records.unit_of_work import Database
from tests.support.daemon_process import DaemonProcess

INVITING: Final[dict[str, Any]] = {"invitations": {"every": "1s"}}


class Open(Struct, frozen=True):
    """A receiver that runs: its port, its process, and what to check once the sending is over (it may raise)."""

    port: int
    pid: int
    check: Callable[[Sending], None] = lambda _sending: None


class Receiver(Struct, frozen=True):
    """A receiver that can be measured.

    ``stores`` says what it has when it acknowledges. ``only`` limits it to these numbers of connections.
    ``keeps`` tells that messages must be new to it; ``reconnect`` that it closes after each one.
    """

    name: str
    stores: str
    open: Callable[[], AbstractContextManager[Open]]
    keeps: bool = False
    reconnect: bool = False
    only: tuple[int, ...] = ()


class Measured(Struct, frozen=True):
    """One measurement: the sending, the receiver's memory at its end, and what processor time it took.

    ``cpu`` is in microseconds for a message, of the process itself; ``children_cpu`` in seconds, of its children.
    """

    sending: Sending
    memory: Figures | None
    cpu: float | None = None
    children_cpu: float | None = None


def measure(bench: Workbench, receiver: Receiver, connections: int) -> Measured:
    """Open a receiver, send for one window, close it. Raises what the receiver's check raises."""
    scale = bench.scale
    order = Order(
        port=0,
        connections=connections,
        warm_up=scale.warm_up,
        seconds=scale.seconds,
        first=bench.serials(scale.pool) if receiver.keeps else 0,
        pool=scale.pool if receiver.keeps else min(scale.pool, 10_000),
        repeat=not receiver.keeps,
        reconnect=receiver.reconnect,
    )
    with receiver.open() as opened:
        before = figures(opened.pid)
        sending = generate(replace(order, port=opened.port))
        after = figures(opened.pid)
        opened.check(sending)
    if before is None or after is None:
        return Measured(sending, after)
    cpu = 1e6 * (after.cpu - before.cpu) / max(1, sending.acknowledged)
    return Measured(sending, after, cpu, after.children_cpu - before.children_cpu)


def bare(name: str, *, reconnect: bool = False, label: str = "") -> Receiver:
    """One of :mod:`benchmarks.bare_servers`."""
    return Receiver(label or name, "nothing", lambda: _bare(name), reconnect=reconnect)


@contextlib.contextmanager
def _bare(name: str) -> Iterator[Open]:
    command = [sys.executable, "-m", "benchmarks.bare_servers", name]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield Open(int(process.stdout.readline()), process.pid)
        process.stdin.close()


def fresh(
    bench: Workbench, database: str, label: str = "doorstep", changes: Mapping[str, Any] | None = None
) -> Receiver:
    """The daemon on an empty database of its own, with nothing to invite unless ``changes`` say otherwise."""

    @contextlib.contextmanager
    def open_() -> Iterator[Open]:
        daemon = bench.daemon(database, changes)
        try:
            yield _serving(daemon.start())
        finally:
            bench.discard(daemon)

    return Receiver(label, database, open_, keeps=True)


def seeded(bench: Workbench, database: str, records: int) -> Receiver:
    """The daemon on a database that holds so many people already, seeded when it is first needed and used again."""
    kept: list[DaemonProcess] = []

    @contextlib.contextmanager
    def open_() -> Iterator[Open]:
        if not kept:
            bench.say(f"  seeding {records:,} people on {database}")
            kept.append(bench.daemon(database, NOBODY_OF_AGE))
            seed_all(kept[0].config, bench.serials(records), records)
        try:
            yield _serving(kept[0].start())
        finally:
            kept[0].kill()

    return Receiver(f"doorstep, {records:,} people", database, open_, keeps=True)


def inviting(bench: Workbench, database: str, connections: int) -> Receiver:
    """The daemon that looks for people to invite every second and delivers to its spool, all while it ingests."""
    plain = fresh(bench, database, "doorstep, inviting", INVITING)
    return Receiver(plain.name, plain.stores, plain.open, keeps=True, only=(connections,))


def _serving(daemon: DaemonProcess) -> Open:
    before = journalled(daemon)

    def check(sending: Sending) -> None:
        if daemon.terminate():
            raise RuntimeError(f"the daemon did not end well:\n{daemon.log_text[-2000:]}")
        found = journalled(daemon) - before
        if found < sending.acknowledged:
            raise RuntimeError(f"{sending.acknowledged:,} messages were acknowledged and {found:,} are stored")

    return Open(daemon.ports.listeners["pas"], daemon.pid, check)


def journalled(daemon: DaemonProcess) -> int:
    """Count the messages that a daemon's database holds with a positive answer: refused ones must hide no loss."""
    database = Database(daemon.database_url)
    try:
        with database.read() as connection:
            return int(connection.scalar(select(func.count()).where(journal.c.answer == "AA")) or 0)
    finally:
        database.close()

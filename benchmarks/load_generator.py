"""Sends messages and waits for their acknowledgments, in a process of its own; must never be the bottleneck.

Every message is built before the clock starts. A connection is one ``asyncio.Protocol`` with at most one message
unanswered, as interface engines send. After ``warm_up`` seconds, answers count for ``seconds`` seconds; then no message
is begun, and those under way are waited for. What it can do by itself, against a receiver that answers at once, is a
row of its own in ``durable_ingest``.

    echo '{"port": 2575, "connections": 8, "seconds": 5}' | python -m benchmarks.load_generator
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from benchmarks.feed import framed
from benchmarks.report import latencies

ROOT: Final = Path(__file__).resolve().parents[1]
HUNG: Final = 120.0
"""Seconds beyond its own time after which a generator is hung, because a receiver no longer answers."""

_END: Final = b"\x1c\r"
_POSITIVE: Final = (b"MSA|AA", b"MSA|CA")


class Order(Struct, frozen=True):
    """What to send.

    ``pool`` messages are built, about people from serial ``first`` on, and sent once each, or over and over
    (``repeat``). ``reconnect``: a new connection for each message, for receivers that close after one.
    """

    port: int
    connections: int = 1
    warm_up: float = 1.0
    seconds: float = 5.0
    first: int = 0
    pool: int = 20_000
    repeat: bool = False
    reconnect: bool = False


class Sending(Struct, frozen=True):
    """How it went.

    ``rate`` in messages/s and the latencies (seconds) are of the window; ``acknowledged`` counts every positive answer,
    ``refused`` every other, ``lost`` connections that ended with a message unanswered. ``busy`` is the share of one
    core that the generator itself needed: near 1 it was the bottleneck.
    """

    rate: float
    p50: float
    p99: float
    longest: float
    acknowledged: int
    refused: int
    lost: int
    busy: float


class _Run:
    """What all connections of a run share."""

    def __init__(self, order: Order) -> None:
        self.order = order
        pool = list(framed(order.first, order.pool))
        self._messages: Iterator[bytes] = itertools.cycle(pool) if order.repeat else iter(pool)
        self._latencies: list[float] = []
        self._opens = self._closes = self._last = 0.0
        self.acknowledged = self.refused = self.lost = 0
        self._active = order.connections
        self.over = asyncio.get_running_loop().create_future()

    def begin(self) -> None:
        """Start the clock."""
        self._opens = time.perf_counter() + self.order.warm_up
        self._closes = self._opens + self.order.seconds

    def next(self) -> bytes | None:
        """The next message; None when the time or the pool is over."""
        return next(self._messages, None) if time.perf_counter() < self._closes else None

    def answered(self, sent: float, at: float, answer: bytes) -> None:
        """Count an answer."""
        if any(code in answer for code in _POSITIVE):
            self.acknowledged += 1
        else:
            self.refused += 1
        if self._opens <= at < self._closes:
            self._latencies.append(at - sent)
            self._last = at

    def ended(self) -> None:
        """Count a connection that sends no more."""
        self._active -= 1
        if not self._active and not self.over.done():
            self.over.set_result(None)

    def summary(self, busy: float) -> Sending:
        """Sum up. A pool that ran out shortens the window to its last answer."""
        spread = latencies(self._latencies)
        ran_out = next(self._messages, None) is None
        length = self._last - self._opens if ran_out else self.order.seconds
        rate = len(self._latencies) / length if length > 0 else 0.0
        return Sending(rate, spread.p50, spread.p99, spread.longest, self.acknowledged, self.refused, self.lost, busy)


class _Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._pending = b""
        self._sent: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; the run says when to begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, message: bytes | None, since: float | None = None) -> None:
        """Send a message, or close for want of one; ``since`` is when its time began, if that was earlier."""
        assert self._transport is not None
        if message is None:
            self._transport.close()
            return
        self._sent = since or time.perf_counter()
        self._transport.write(message)

    def data_received(self, data: bytes) -> None:
        """Take (a part of) an answer."""
        at = time.perf_counter()
        answer = self._pending + data
        if not answer.endswith(_END):
            self._pending = answer
            return
        self._pending = b""
        assert self._sent is not None
        self._run.answered(self._sent, at, answer)
        self._sent = None
        self.on_answer()

    def on_answer(self) -> None:
        """Go on with the next message."""
        self.send(self._run.next())

    def connection_lost(self, _error: Exception | None) -> None:
        """Note the end, and whether an answer is missing."""
        if self._sent is not None:
            self._run.lost += 1
        self.on_end()

    def on_end(self) -> None:
        """A connection that is over sends no more."""
        self._run.ended()


class _OneShot(_Sender):
    """A connection for one message; the lane that opened it opens the next."""

    def __init__(self, run: _Run) -> None:
        super().__init__(run)
        self.ended = asyncio.get_running_loop().create_future()

    def on_answer(self) -> None:
        """One answer is all that comes."""
        assert self._transport is not None
        self._transport.close()

    def on_end(self) -> None:
        """Let the lane go on."""
        self.ended.set_result(None)


async def send(order: Order) -> Sending:
    """Send as ordered, in this process. Raises OSError when the receiver cannot be reached."""
    run = _Run(order)
    gc.collect()
    gc.disable()  # a pause of ours would be counted as the receiver's
    work = _by_new_connections if order.reconnect else _by_lasting_connections
    try:
        began, busy = time.perf_counter(), time.process_time()
        await work(run)
        share = (time.process_time() - busy) / (time.perf_counter() - began)
    finally:
        gc.enable()
    return run.summary(share)


async def _by_lasting_connections(run: _Run) -> None:
    loop = asyncio.get_running_loop()
    senders = [_Sender(run) for _ in range(run.order.connections)]
    for sender in senders:
        await loop.create_connection(lambda sender=sender: sender, "127.0.0.1", run.order.port)  # type: ignore[misc]
    run.begin()
    for sender in senders:
        sender.on_answer()
    await run.over


async def _by_new_connections(run: _Run) -> None:
    run.begin()
    await asyncio.gather(*(_lane(run) for _ in range(run.order.connections)))


async def _lane(run: _Run) -> None:
    """One message after the other, each over a connection of its own, whose making counts."""
    loop = asyncio.get_running_loop()
    while (message := run.next()) is not None:
        since = time.perf_counter()
        _, sender = await loop.create_connection(lambda: _OneShot(run), "127.0.0.1", run.order.port)
        sender.send(message, since)
        await sender.ended


def generate(order: Order) -> Sending:
    """Send as ordered, from a process of its own. Raises RuntimeError when that process fails or hangs."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load_generator"],
        cwd=ROOT,
        input=msgspec.json.encode(order),
        capture_output=True,
        timeout=order.warm_up + order.seconds + HUNG,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return msgspec.json.decode(done.stdout, type=Sending)


if __name__ == "__main__":
    sys.stdout.buffer.write(
        msgspec.json.encode(asyncio.run(send(msgspec.json.decode(sys.stdin.buffer.read(), type=Order)))) + b"\n"
    )

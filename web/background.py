"""Work that blocks, kept off the event loop: so many calls at a time, and nobody waits for ever.

Behind the event loop stand the listeners' sockets; a database that is slow must not make them slow. A call that takes
too long is answered for (its caller hears that the service is busy) and goes on by itself: what it commits is whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

T = TypeVar("T")

AT_A_TIME: Final = 6
"""Calls at work: fewer than the database's connections, so that the listeners and the clock always find one."""

PATIENCE: Final = 20.0
"""Seconds for waiting and work together; below what callers and proxies allow by default (30 to 60 s)."""


class TookTooLong(Exception):
    """The call was not done in time, or had no turn; it may be done later all the same."""


class InThread(Protocol):
    """Runs a call in a thread and gives what it gives or raises; the daemon has one that holds up no exit."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]:
        """Run it."""
        ...


class Background:
    """Runs calls in threads, ``most`` at a time."""

    def __init__(self, in_thread: InThread, most: int = AT_A_TIME, patience: float = PATIENCE) -> None:
        self._in_thread = in_thread
        self._turns = asyncio.Semaphore(most)
        self._patience = patience
        self._running: set[asyncio.Future[Any]] = set()

    async def __call__(self, call: Callable[[], T]) -> T:
        """Give what the call gives or raises. Raises TookTooLong: it never began, or goes on, in its turn, unheard."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        try:
            async with asyncio.timeout_at(until):
                await self._turns.acquire()
        except TimeoutError:
            raise TookTooLong from None
        task = asyncio.ensure_future(self._in_thread(call))
        self._running.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=until - loop.time())
        if not task.done():
            raise TookTooLong
        return task.result()

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._turns.release()
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # noted, so that asyncio does not complain of one that nobody waits for any more

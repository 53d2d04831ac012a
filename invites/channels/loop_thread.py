"""An event loop in a thread of its own, for providers that are asyncio inside and are called from threads.

The loop goes on between calls, so that a connection kept for the next call hears when its server closes it. The thread
is daemonic: a server that is silent holds up no exit.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

_GRACE: Final = 5.0
"""Seconds beyond a call's own deadline after which its loop counts as stuck."""

_ROUNDS: Final = 10
"""Turns of the loop in which a closed transport hears that it is closed; one over TLS needs several."""


class LoopThread:
    """One loop, started with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def run(self, call: Callable[[], Coroutine[Any, Any, T]], deadline: float) -> T:
        """Run it there and give what it gives or raises.

        ``deadline`` in seconds is what the call itself keeps to; this waits a little longer and then raises
        TimeoutError, for a loop that keeps no deadline is stuck.
        """
        return asyncio.run_coroutine_threadsafe(call(), self._running()).result(deadline + _GRACE)

    def close(self, last: Callable[[], Coroutine[Any, Any, None]], deadline: float) -> None:
        """Run a last call and end the loop, within so many seconds; nothing happens if it never began."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        ending = asyncio.run_coroutine_threadsafe(last(), loop)
        try:
            ending.result(deadline)
        except (TimeoutError, asyncio.CancelledError):
            ending.cancel()
        loop.call_soon_threadsafe(loop.stop)
        if self._thread is not None:
            self._thread.join(deadline)

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=_serve, args=(self._loop,), name=self._name, daemon=True)
                self._thread.start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run until stopped; then what still waits is cancelled, and what was closed gets its turn to close."""
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        for _ in range(_ROUNDS):
            for task in asyncio.all_tasks(loop):  # a round may begin new ones: a connection that was just accepted
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
    finally:
        loop.close()

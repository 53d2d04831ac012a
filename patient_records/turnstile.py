"""A lock that is given in the order in which it was asked for.

SQLite has one writer at a time. A plain ``threading.Lock`` goes to whoever comes first after its release, and that is
nearly always the thread that has just released it: a long run of small transactions (issuing, a walk over everybody)
would keep the acknowledgments waiting for as long as it lasts. Seen once, with a small durable write every 2 ms beside
10,000 invitations and beside a walk over 10,000 people: a 99th percentile of 84 and 260 ms, and of 24 and 11 ms with
this.
"""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType


class Turnstile:
    """A fair mutual exclusion for ``with``; not reentrant."""

    def __init__(self) -> None:
        self._state = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()
        self._taken = False

    def __enter__(self) -> None:
        """Wait for our turn."""
        with self._state:
            if not self._taken:
                self._taken = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Hand over to who has waited longest."""
        with self._state:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False

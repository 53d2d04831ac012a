"""Bytes that a listener's connections hold together, and who must wait when they are too many.

Each connection's own limits are harmless alone and fatal two thousand times. Past the budget, a connection that holds
more than a small allowance is not read any more until others have been answered.

If nothing is on its way to the writer, everything held is unfinished frames, and only reading can finish one. Then one
connection is the *favourite*: it alone is read on until its frame is answered or it has gone (its frame has a
deadline), and after it the next. So what is held stays within the budget, one frame, and what each connection had been
given by one read before it was stopped; and every frame gets through, even one that is larger than the budget.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final, Protocol

ALLOWANCE: Final = 16 << 10
"""Bytes that any connection may hold, budget or not: an ordinary message, so that small senders wait for no large."""


class Waiting(Protocol):
    """A connection that is not read because of the budget."""

    def resume_for_budget(self) -> None:
        """Read on."""
        ...


class ByteBudget:
    """Counts the bytes held by all connections of one listener; used from the event loop only."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: OrderedDict[int, Waiting] = OrderedDict()
        self._favourite: Waiting | None = None
        self.held = 0
        self.queued = 0

    def change(self, held: int = 0, queued: int = 0) -> None:
        """Count bytes up or down: ``held`` by connections in all, ``queued`` those of them that the writer has."""
        self.held += held
        self.queued += queued
        if held < 0 or queued < 0:
            self._relieve()

    def must_wait(self, holding: int, waiter: Waiting) -> bool:
        """Whether a connection that holds so many bytes must stop reading; it is told when it may read on."""
        if holding <= ALLOWANCE or self.held <= self._limit:
            self.forget(waiter)
            return False
        if self._favourite is None and self.queued == 0:
            self._favourite = waiter
        if self._favourite is waiter:
            return False
        self._waiting[id(waiter)] = waiter
        return True

    def forget(self, waiter: Waiting) -> None:
        """A connection is gone, or needs nothing any more."""
        self._waiting.pop(id(waiter), None)
        if self._favourite is waiter:
            self._favourite = None
            self._relieve()

    def _relieve(self) -> None:
        while self._waiting and self.held <= self._limit:
            self._next().resume_for_budget()
        if self._waiting and self._favourite is None and self.queued == 0:
            self._favourite = self._next()
            self._favourite.resume_for_budget()

    def _next(self) -> Waiting:
        return self._waiting.popitem(last=False)[1]

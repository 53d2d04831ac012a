"""Work that a page waits for, in threads of the face's own.

The default pool of an event loop is shared by every face of the process. A flood of logins on the public port, each a
tenth of a second of Argon2id, must not make the hospital's API wait. So each face has a pool, and what is slow has one
of its own within it; who comes when its line is full is asked to come again (503).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
from starlette.exceptions import HTTPException

P = ParamSpec("P")
T = TypeVar("T")

_QUICK: Final = 12
"""Threads for what asks the database."""

_SLOW: Final = 2
"""Threads for what derives a key: one more than may derive at a time (:data:`patient_records.passwords.AT_A_TIME`)."""

_LONGEST_LINE: Final = 40
"""Derivations that wait, some four seconds' worth: whoever came after them would give up before being served."""


class InThread:
    """The threads of one face."""

    def __init__(self) -> None:
        self._quick = anyio.CapacityLimiter(_QUICK)
        self._slow = anyio.CapacityLimiter(_SLOW)

    async def quick(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what asks the database."""
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self._quick)

    async def slow(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do what derives a key. Raises HTTPException (503) when too many wait already."""
        if self._slow.statistics().tasks_waiting >= _LONGEST_LINE:
            raise HTTPException(503, headers={"retry-after": "5"})
        return await anyio.to_thread.run_sync(partial(work, *args, **kwargs), limiter=self._slow)

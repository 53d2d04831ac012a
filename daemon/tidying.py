"""Taking away what is over: bearers, windows of limits, sessions nobody came back to. Looks before it writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from patient_records import limits, sessions
from patient_records.unit_of_work import Database
from web.access import bearers
from web.ops import sessions as staff_sessions

EVERY: Final = timedelta(minutes=5)

_SWEEPS: Final[tuple[tuple[Callable[[Connection, datetime], bool], Callable[[Connection, datetime], int]], ...]] = (
    (bearers.any_over, bearers.sweep),
    (limits.any_over, limits.sweep),
    (sessions.any_over, sessions.sweep),
    (staff_sessions.any_over, staff_sessions.sweep),
)


class Tidying:
    """A job of the clock; gives how many rows it took away."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Take away all that is over, a chunk to a transaction; ends early when stopping. Raises StorageUnavailable."""
        return sum(self._all_of(any_over, sweep, stopping) for any_over, sweep in _SWEEPS)

    def _all_of(
        self,
        any_over: Callable[[Connection, datetime], bool],
        sweep: Callable[[Connection, datetime], int],
        stopping: Callable[[], bool],
    ) -> int:
        gone = 0
        while not stopping():
            with self._database.read() as connection:
                if not any_over(connection, self._database.now(connection)):
                    break
            with self._database.begin() as connection:
                gone += sweep(connection, self._database.now(connection))
        return gone

"""Taking away what is over: bearers, windows of limits, sessions nobody came back to. Looks before it writes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from patient_records import limits, sessions
from patient_records.sweeping import Look, Step, until_done
from patient_records.unit_of_work import Database
from web.access import bearers
from web.ops import sessions as staff_sessions

EVERY: Final = timedelta(minutes=5)

_SWEEPS: Final[tuple[tuple[Look, Step], ...]] = (
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
        return sum(until_done(self._database, look, step, stopping) for look, step in _SWEEPS)

"""Doing what time alone makes due: a bounded step to a transaction, for as long as there is something to do.

SQLite has one writer, and acknowledgments wait for it; so each step is preceded by a look that only reads.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection

from patient_records.unit_of_work import Database

Look: TypeAlias = Callable[[Connection, datetime], bool]
"""Whether anything is due at the database's time; for a reader."""

Step: TypeAlias = Callable[[Connection, datetime], int]
"""Does a bounded part of what is due, in a transaction that writes; gives how much it found."""


def until_done(database: Database, look: Look, step: Step, stopping: Callable[[], bool] = lambda: False) -> int:
    """Do a step, a transaction each time, for as long as a look says that it is due; gives how much it found in all.

    Ends early, between transactions, when stopping, and after a step that found nothing: what is due then is somebody
    else's just now, and asking again at once would keep the writer busy for nothing. Raises StorageUnavailable.
    """
    total = 0
    while not stopping() and _due(database, look):
        with database.begin() as connection:
            found = step(connection, database.now(connection))
        if not found:
            break
        total += found
    return total


def _due(database: Database, look: Look) -> bool:
    with database.read() as connection:
        return look(connection, database.now(connection))

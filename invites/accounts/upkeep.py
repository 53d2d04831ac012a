"""What time ends around accounts: sessions, windows of limits, accounts whose link was never used.

Looks before it writes, like every sweep; a thousand rows to a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, select, text

from invites.accounts import repository
from invites.accounts.links import LIFE
from invites.accounts.tables import PENDING, accounts
from patient_records import limits, sessions
from patient_records.instants import to_micros
from patient_records.sweeping import until_done
from patient_records.unit_of_work import Database

NOT_CONFIRMED = "not_confirmed"
"""Why an account ended whose link was not used in time: its key and address are deleted."""

_AT_A_TIME = 1000


class UpkeepReport(Struct):
    """How many sessions, windows and pending accounts were over."""

    sessions: int = 0
    windows: int = 0
    accounts: int = 0


class Upkeep:
    """Does it. Any number of daemons may at once: the second finds nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def run(self, stopping: Callable[[], bool] = lambda: False) -> UpkeepReport:
        """Do all that is due; ends early, between transactions, when stopping. Raises StorageUnavailable."""
        return UpkeepReport(
            sessions=until_done(self._database, sessions.any_over, sessions.sweep, stopping),
            windows=until_done(self._database, limits.any_over, limits.sweep, stopping),
            accounts=until_done(self._database, _any_unconfirmed, _end_unconfirmed, stopping),
        )


def _any_unconfirmed(connection: Connection, now: datetime) -> bool:
    return bool(_unconfirmed(connection, now, 1))


def _end_unconfirmed(connection: Connection, now: datetime) -> int:
    ids = _unconfirmed(connection, now, _AT_A_TIME)
    repository.end_accounts(connection, ids, NOT_CONFIRMED, now)
    return len(ids)


def _unconfirmed(connection: Connection, now: datetime, limit: int) -> list[int]:
    over = (text(PENDING), accounts.c.created_at <= to_micros(now - LIFE))
    return list(connection.scalars(select(accounts.c.id).where(*over).limit(limit)))

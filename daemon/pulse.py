"""The daemon's own row in the database: that it lives, what it has done, whom it has heard.

``doorstep status`` reads this from another process, and needs no port for it. Each run of a daemon has rows of its own,
so that two daemons on one database never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import insert, update

from daemon.listener_telemetry import SenderActivity
from patient_records import tables
from patient_records.bulk import BulkInsert
from patient_records.instants import to_micros
from patient_records.unit_of_work import Database

_SENDERS: Final = BulkInsert(
    tables.senders,
    ("daemon_id", "listener", "sender", "first_at", "last_at", "messages"),
    key=("daemon_id", "listener", "sender"),
    update=("last_at", "messages"),
)


class Pulse:
    """Writes the rows of one run. ``senders`` gives what each (listener, sender) did so far."""

    def __init__(
        self,
        database: Database,
        daemon_id: int,
        version: str,
        senders: Callable[[], dict[tuple[str, str], SenderActivity]],
    ) -> None:
        self._database = database
        self._id = daemon_id
        self._version = version
        self._senders = senders
        self._told: dict[tuple[str, str], int] = {}

    def begin(self, now: datetime) -> None:
        """Write the row of this run."""
        at = to_micros(now)
        with self._database.begin() as connection:
            connection.execute(
                insert(tables.daemons).values(
                    id=self._id, started_at=at, seen_at=at, version=self._version, report="{}"
                )
            )

    def beat(self, now: datetime, report: dict[str, int | float | str]) -> None:
        """Say that the daemon lives, with its counts, and whom it heard since the last beat."""
        senders = self._senders()
        news = [
            (self._id, listener, sender, one.first_at, one.last_at, one.messages)
            for (listener, sender), one in senders.items()
            if self._told.get((listener, sender)) != one.messages
        ]
        text = msgspec.json.encode(report).decode()
        with self._database.begin() as connection:
            statement = update(tables.daemons).where(tables.daemons.c.id == self._id)
            connection.execute(statement.values(seen_at=to_micros(now), report=text))
            _SENDERS.run(connection, news)
        self._told = {key: one.messages for key, one in senders.items()}

    def end(self, now: datetime) -> None:
        """Say whom the daemon heard last, and that this run ended in good order."""
        self.beat(now, {})
        at = to_micros(now)
        with self._database.begin() as connection:
            statement = update(tables.daemons).where(tables.daemons.c.id == self._id)
            connection.execute(statement.values(seen_at=at, stopped_at=at))

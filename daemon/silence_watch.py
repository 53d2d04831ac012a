"""The silence alarm: senders that are quieter than their own weeks say they should be.

Looked at once a minute, over all daemons of a database, from counts that the daemons keep by quarter of an hour. An
alarm is a row (for ``doorstep status``), a gauge and one line in the log; it ends with the sender's next message, or
when a silence has become its habit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import structlog
from msgspec import Struct
from sqlalchemy import Connection, delete, func, select

from daemon.listener_telemetry import OTHERS
from daemon.metrics import Metrics
from daemon.rhythm import MOST_WEEKS, SLOT, WEEK, expected, is_unusual, slot_of
from patient_records import tables
from patient_records.bulk import BulkInsert
from patient_records.instants import from_micros, to_micros
from patient_records.unit_of_work import Database

EVERY: Final = timedelta(minutes=1)
KEPT: Final = (MOST_WEEKS + 2) * WEEK
"""How long counts are kept: what is looked at, and a silence of a week before it."""

_SILENCES: Final = BulkInsert(
    tables.sender_silences,
    ("listener", "sender", "since", "expected", "noticed_at"),
    key=("listener", "sender"),
    update=("since", "expected"),
)
_Key = tuple[str, str]


class _Heard(Struct, frozen=True):
    first_at: datetime
    last_at: datetime


class SilenceWatch:
    """Watches the senders of the listeners named, each in its listener's zone.

    ``since`` is when this daemon began to listen: nobody is silent for the time in which nobody listened.
    """

    def __init__(self, database: Database, metrics: Metrics, zones: Mapping[str, ZoneInfo], since: datetime) -> None:
        self._database = database
        self._metrics = metrics
        self._zones = zones
        self._since = since
        self._due = since
        self._pruned = since
        self._log = structlog.get_logger("silence")
        self._judged: dict[_Key, tuple[int, datetime, int]] = {}

    def look(self, now: datetime) -> None:
        """Look at all senders if a minute has passed. Raises RecordsError."""
        if now < self._due:
            return
        self._due = now + EVERY
        with self._database.read() as connection:
            heard = self._heard(connection)
            known = self._known(connection)
            silent = {
                key: usual for key, one in heard.items() if is_unusual(usual := self._usual(connection, key, one, now))
            }
        self._store(silent, known, heard, now)
        self._tell(silent, known)

    def _heard(self, connection: Connection) -> dict[_Key, _Heard]:
        table = tables.senders
        rows = connection.execute(
            select(table.c.listener, table.c.sender, func.min(table.c.first_at), func.max(table.c.last_at))
            .where(table.c.listener.in_(self._zones), table.c.sender != OTHERS)
            .group_by(table.c.listener, table.c.sender)
        )
        return {(listener, sender): _Heard(from_micros(a), from_micros(b)) for listener, sender, a, b in rows}

    def _known(self, connection: Connection) -> set[_Key]:
        table = tables.sender_silences
        return {(row.listener, row.sender) for row in connection.execute(select(table.c.listener, table.c.sender))}

    def _usual(self, connection: Connection, key: _Key, heard: _Heard, now: datetime) -> int:
        """How many messages are missing; counted anew only when another quarter of an hour has passed."""
        since = max(heard.last_at, self._since)
        if now - since < SLOT:
            self._judged.pop(key, None)
            return 0
        judged = self._judged.get(key)
        if judged is not None and judged[:2] == (slot_of(now), since):
            return judged[2]

        def messages(first: int, end: int) -> int:
            table = tables.sender_slots
            condition = (table.c.listener == key[0]) & (table.c.sender == key[1])
            statement = select(func.coalesce(func.sum(table.c.messages), 0))
            return int(connection.scalar(statement.where(condition, table.c.slot >= first, table.c.slot < end)) or 0)

        usual = expected(since, now, heard.first_at, self._zones[key[0]], messages)
        self._judged[key] = (slot_of(now), since, usual)
        return usual

    def _store(self, silent: Mapping[_Key, int], known: set[_Key], heard: Mapping[_Key, _Heard], now: datetime) -> None:
        over = [key for key in known if key not in silent and key[0] in self._zones]
        new = [
            (listener, sender, to_micros(heard[listener, sender].last_at), usual, to_micros(now))
            for (listener, sender), usual in sorted(silent.items())
            if (listener, sender) not in known
        ]
        prune = now - self._pruned >= WEEK / 7
        if not (over or new or prune):
            return
        table = tables.sender_silences
        with self._database.begin() as connection:
            for listener, sender in sorted(over):
                connection.execute(delete(table).where(table.c.listener == listener, table.c.sender == sender))
            _SILENCES.run(connection, new)
            if prune:
                slots = tables.sender_slots
                connection.execute(delete(slots).where(slots.c.slot < slot_of(now - KEPT)))
        if prune:
            self._pruned = now

    def _tell(self, silent: Mapping[_Key, int], known: set[_Key]) -> None:
        for listener in self._zones:
            count = sum(key[0] == listener for key in silent)
            self._metrics.senders_silent.labels(listener).set(count)
        for listener, sender in sorted(silent.keys() - known):
            self._log.warning("sender_silent", listener=listener, sender=sender, count=silent[listener, sender])
        for listener, sender in sorted(known - silent.keys()):
            if listener in self._zones:
                self._log.info("sender_not_silent", listener=listener, sender=sender)

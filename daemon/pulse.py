"""The daemon's own row in the database: that it lives, what it has done, whom it has heard.

``doorstep status`` reads this from another process, and needs no port for it. Each run of a daemon has rows of its own,
so that two daemons on one database never wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import insert, select, update

from daemon.listener_telemetry import SenderActivity
from hl7_listener.sequence import SequenceState
from patient_records import tables
from patient_records.bulk import BulkInsert
from patient_records.instants import to_micros
from patient_records.unit_of_work import Database

_SENDERS: Final = BulkInsert(
    tables.senders,
    (
        "daemon_id",
        "listener",
        "sender",
        "first_at",
        "last_at",
        "messages",
        "last_sequence",
        "sequence_gaps",
        "sequence_missing",
        "last_gap_at",
    ),
    key=("daemon_id", "listener", "sender"),
    update=("last_at", "messages", "last_sequence", "sequence_gaps", "sequence_missing", "last_gap_at"),
)
_SLOTS: Final = BulkInsert(
    tables.sender_slots,
    ("listener", "sender", "slot", "daemon_id", "messages"),
    key=("listener", "sender", "slot", "daemon_id"),
    update=("messages",),
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
        heard = {key: one for key, one in senders.items() if self._told.get(key) != one.messages}
        news = [self._row(listener, sender, one) for (listener, sender), one in heard.items()]
        slots = [
            (listener, sender, slot, self._id, count)
            for (listener, sender), one in heard.items()
            for slot, count in one.slots.items()
        ]
        text = msgspec.json.encode(report).decode()
        with self._database.begin() as connection:
            statement = update(tables.daemons).where(tables.daemons.c.id == self._id)
            connection.execute(statement.values(seen_at=to_micros(now), report=text))
            _SENDERS.run(connection, news)
            _SLOTS.run(connection, slots)
        self._told = {key: one.messages for key, one in senders.items()}

    def _row(self, listener: str, sender: str, one: SenderActivity) -> tuple[object, ...]:
        state = one.sequence or SequenceState()
        numbers = (state.last, state.gaps, state.missing, state.last_gap_at)
        return (self._id, listener, sender, one.first_at, one.last_at, one.messages, *numbers)

    def numbers(self) -> dict[tuple[str, str], int]:
        """The last sequence number of each sender that numbers its messages, from the latest run that heard it."""
        table = tables.senders
        statement = select(table.c.listener, table.c.sender, table.c.last_sequence)
        with self._database.read() as connection:
            rows = connection.execute(statement.where(table.c.last_sequence > 0).order_by(table.c.last_at))
            return {(row.listener, row.sender): row.last_sequence for row in rows}

    def end(self, now: datetime) -> None:
        """Say whom the daemon heard last, and that this run ended in good order."""
        self.beat(now, {})
        at = to_micros(now)
        with self._database.begin() as connection:
            statement = update(tables.daemons).where(tables.daemons.c.id == self._id)
            connection.execute(statement.values(seen_at=at, stopped_at=at))

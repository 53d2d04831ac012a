"""Asks a provider about messages of which no final word has come: the backstop for callbacks that got lost.

Messages are asked about in the order in which they were accepted, some in each run, from the first again when the last
has been reached. Where it stands is kept in memory only: after a new start it begins anew, which costs questions and
loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Protocol

from msgspec import Struct
from sqlalchemy import Connection, and_, exists, or_, select

from invites.invitation import EntryState
from invites.receipt import Receipt, ReceiptState
from invites.tables import outbox, receipts
from patient_records.instants import to_micros
from patient_records.unit_of_work import Database

NOT_BEFORE: Final = timedelta(minutes=10)
"""A callback comes within minutes, if it comes."""

NOT_AFTER: Final = timedelta(days=7)
"""For how long a provider remembers a message (Notify: seven days)."""

_AT_A_TIME: Final = 200
_FINAL: Final = (ReceiptState.DELIVERED.value, ReceiptState.FAILED.value)


class Told(Protocol):
    """A provider that tells what became of a message."""

    name: str

    def receipt(self, name: str) -> Receipt | None:
        """Ask by the provider's own reference; None while it says nothing."""
        ...


class PollReport(Struct):
    """What one run did: messages asked about, and receipts that came of it."""

    asked: int = 0
    receipts: int = 0


class ReceiptPoll:
    """Asks one provider. To be run by one thread at a time."""

    def __init__(self, database: Database, provider: Told, take: Callable[[Sequence[Receipt]], object]) -> None:
        self._database = database
        self._provider = provider
        self._take = take
        self._last = (0, 0)

    def run(self, stopping: Callable[[], bool] = lambda: False) -> PollReport:
        """Ask about the next messages. Raises what the database and ``take`` raise."""
        with self._database.read() as connection:
            rows = self._next(connection)
        said = []
        for _, _, name in rows:
            if stopping():
                return PollReport()
            receipt = self._provider.receipt(name)
            if receipt is not None:
                said.append(receipt)
        if said:
            self._take(said)
        self._last = (rows[-1][0], rows[-1][1]) if len(rows) == _AT_A_TIME else (0, 0)
        return PollReport(len(rows), len(said))

    def _next(self, connection: Connection) -> list[tuple[int, int, str]]:
        now, o = self._database.now(connection), outbox.c
        at, id_ = self._last
        told = exists().where(receipts.c.entry_id == o.id, receipts.c.state.in_(_FINAL))
        rows = connection.execute(
            select(o.final_at, o.id, o.provider_reference)
            .where(
                o.final_at.is_not(None),
                o.final_at.between(to_micros(now - NOT_AFTER), to_micros(now - NOT_BEFORE)),
                or_(o.final_at > at, and_(o.final_at == at, o.id > id_)),
                o.provider == self._provider.name,
                o.state == EntryState.ACCEPTED.value,
                o.provider_reference.is_not(None),
                ~told,
            )
            .order_by(o.final_at, o.id)
            .limit(_AT_A_TIME)
        )
        return [(row.final_at, row.id, row.provider_reference) for row in rows]

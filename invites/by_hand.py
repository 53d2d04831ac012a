"""Settling by hand what no provider can: an entry of which nobody knows whether it was sent (SPEC 5.3).

A person has asked the patient, or looked into the provider's own records. *Accepted* ends the entry. *Not sent* is the
same as a provider's word: it is tried again, or its channel is given up and the next has its turn.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, select, text

from invites import outbox
from invites.channels.channel import Accepted, NotSent, Outcome
from invites.finish import Answer, Finish
from invites.invitation import EntryState
from invites.tables import UNKNOWN
from invites.tables import outbox as table
from patient_records.instants import from_micros
from patient_records.tables import patient_records

BY_HAND: Final = "settled_by_hand"


class Word(StrEnum):
    """What a person says became of it."""

    ACCEPTED = "accepted"
    NOT_SENT = "not_sent"


class UnknownEntry(Struct, frozen=True):
    """An unknown entry. ``waits`` for a person, or is still being asked about; ``code`` says why it came to this."""

    id: int
    public_id: str
    channel: str
    purpose: str
    provider: str | None
    code: str | None
    created_at: datetime
    waits: bool


class ByHand:
    """Settles what staff have found out."""

    def __init__(self, finish: Finish) -> None:
        self._finish = finish

    def settle(self, connection: Connection, entry_id: int, organisation: str, word: Word) -> int | None:
        """Write down what became of an unknown entry, and all that follows; gives whose it was.

        None when it is no unknown entry of that organisation (any more).
        """
        entry = next(iter(outbox.entries_with(connection, table.c.id, [entry_id])), None)
        if entry is None or entry.state is not EntryState.UNKNOWN:
            return None
        if connection.scalar(select(table.c.organisation).where(table.c.id == entry_id)) != organisation:
            return None
        outcome: Outcome = Accepted(BY_HAND) if word is Word.ACCEPTED else NotSent(BY_HAND)
        self._finish.within(connection, [Answer(entry, entry.attempt, outcome)])
        settled, _attempt = outbox.standings(connection, [entry_id])[entry_id]
        return entry.record_id if settled is not EntryState.UNKNOWN else None


def unknown_entries(connection: Connection, organisation: str, *, limit: int = 200) -> list[UnknownEntry]:
    """The unknown entries of that organisation, the oldest first."""
    c, people = table.c, patient_records.c
    statement = (
        select(table, people.public_id)
        .join(patient_records, people.id == c.record_id)
        .where(text(f"outbox.{UNKNOWN}"), c.organisation == organisation)
    )
    return [
        UnknownEntry(
            id=row.id,
            public_id=row.public_id,
            channel=row.channel,
            purpose=row.purpose,
            provider=row.provider,
            code=row.code,
            created_at=from_micros(row.created_at),
            waits=row.due_at is None,
        )
        for row in connection.execute(statement.order_by(c.created_at, c.id).limit(limit))
    ]

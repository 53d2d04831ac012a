"""What is due in the outbox: asked of a reader, before anybody takes a writer (SPEC 5.3, 5.5).

The clock only says "look". Nearly every look finds nothing, and on SQLite a write transaction for nothing keeps
acknowledgments waiting, so each job that would write asks here first. The selections themselves are used by
:mod:`invites.outbox`, too, so that a look and what follows it cannot mean different entries.

Each selection names its partial index by the index's own condition and sorts by the indexed time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, Select, or_, select, text

from invites.tables import LEASED, WAITING, outbox
from patient_records.instants import to_micros

PAUSED: Final = "paused"


class Barred(Struct, frozen=True):
    """Organisations whose messages by a channel may not go out now, with the code of the reason.

    ``invitations`` are those whose invitations and reminders wait, ``everything`` those of whom nothing goes out.
    """

    invitations: Mapping[str, str] = {}
    everything: frozenset[str] = frozenset()

    def stops(self, organisation: str, *, invitation: bool) -> str | None:
        """Why this message may not go out; None: it may."""
        if organisation in self.everything:
            return PAUSED
        return self.invitations.get(organisation) if invitation else None


NOBODY: Final = Barred()


def any_lapsed(connection: Connection, now: datetime) -> bool:
    """Whether :func:`invites.outbox.lapse` would find anything."""
    return any_of(connection, lapsed(select(outbox.c.id), now))


def any_expired(connection: Connection, now: datetime) -> bool:
    """Whether :func:`invites.outbox.past_expiry` would find anything."""
    return any_of(connection, expired(select(outbox.c.id), now))


def any_final_since(connection: Connection, since: datetime) -> bool:
    """Whether an entry became final, and so lost its payload, at that time or later."""
    return any_of(connection, select(outbox.c.id).where(outbox.c.final_at >= to_micros(since)))


def due(statement: Select[Any], waiting: str, channel: str, now: datetime, barred: Barred = NOBODY) -> Select[Any]:
    """Of a channel what waits (``QUEUED`` or ``UNKNOWN``), is due and not barred, the longest due first."""
    found = statement.where(text(waiting), outbox.c.channel == channel, outbox.c.due_at <= to_micros(now))
    if barred.everything:
        found = found.where(outbox.c.organisation.not_in(sorted(barred.everything)))
    if barred.invitations:
        other = outbox.c.organisation.not_in(sorted(barred.invitations))
        found = found.where(or_(outbox.c.invitation_id.is_(None), other))
    return found.order_by(outbox.c.due_at)


def lapsed(statement: Select[Any], now: datetime) -> Select[Any]:
    """Entries whose lease ran out, the first to do so first."""
    found = statement.where(text(LEASED), outbox.c.lease_until <= to_micros(now))
    return found.order_by(outbox.c.lease_until)


def expired(statement: Select[Any], now: datetime) -> Select[Any]:
    """Entries that wait and whose time is over, the longest over first."""
    found = statement.where(text(WAITING), outbox.c.expires_at <= to_micros(now))
    return found.order_by(outbox.c.expires_at)


def any_of(connection: Connection, statement: Select[Any]) -> bool:
    """Whether a selection finds anything at all."""
    return connection.execute(statement.limit(1)).first() is not None

"""Everything that was put into the outbox for one person: by which channel, when, and what became of it."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, select

from invites import receipt_rows
from invites.tables import attempts, outbox
from patient_records.instants import from_micros, maybe_instant


class Sending(Struct, frozen=True):
    """One message on its way out. ``sent_at`` is its latest attempt, ``receipt`` what the provider said afterwards."""

    id: int
    purpose: str
    channel: str
    state: str
    code: str | None
    created_at: datetime
    attempts: int
    sent_at: datetime | None
    receipt: str | None
    receipt_at: datetime | None


def of_record(connection: Connection, record_id: int, *, limit: int = 100) -> list[Sending]:
    """The person's messages, newest first."""
    statement = select(outbox).where(outbox.c.record_id == record_id).order_by(outbox.c.id.desc()).limit(limit)
    rows = connection.execute(statement).all()
    ids = [row.id for row in rows]
    tried: dict[int, datetime | None] = {
        row.entry_id: maybe_instant(row.started_at)
        for row in connection.execute(
            select(attempts).where(attempts.c.entry_id.in_(ids)).order_by(attempts.c.entry_id, attempts.c.number)
        )
    }
    said = receipt_rows.known(connection, ids)
    counting = {id_: next((each for each in some if each.counts), None) for id_, some in said.items()}
    return [
        Sending(
            id=row.id,
            purpose=row.purpose,
            channel=row.channel,
            state=row.state,
            code=row.code,
            created_at=from_micros(row.created_at),
            attempts=row.attempt,
            sent_at=tried.get(row.id),
            receipt=receipt.state.value if (receipt := counting.get(row.id)) is not None else None,
            receipt_at=receipt.at if receipt is not None else None,
        )
        for row in rows
    ]

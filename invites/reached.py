"""By which channels somebody was invited already: what decides which one has its turn next."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from invites.invitation import FINAL, EntryState
from invites.receipt import ReceiptState
from invites.tables import outbox, receipts


def channels_tried(connection: Connection, record_ids: Collection[int]) -> dict[int, set[str]]:
    """By which channels each of these records was or is being invited; what ended unsent or failed is left out."""
    return {record_id: set() for record_id in record_ids} | invited_by(connection, record_ids)


def invited_by(connection: Connection, record_ids: Collection[int]) -> dict[int, set[str]]:
    """By which channels invitations reached each of these records, as far as is known, or are on their way."""
    unsent = [state.value for state in FINAL - {EntryState.ACCEPTED}]
    failed = select(receipts.c.entry_id).where(
        receipts.c.entry_id == outbox.c.id, receipts.c.state == ReceiptState.FAILED.value, receipts.c.counts == 1
    )
    rows = connection.execute(
        select(outbox.c.record_id, outbox.c.channel).where(
            outbox.c.record_id.in_(list(record_ids)),
            outbox.c.state.not_in(unsent),
            outbox.c.invitation_id.is_not(None),
            ~failed.exists(),
        )
    )
    tried: dict[int, set[str]] = {}
    for record_id, channel in rows:
        tried.setdefault(record_id, set()).add(channel)
    return tried

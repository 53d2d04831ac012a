"""Putting any message into the outbox: the one way in, for invitations and for everything else (SPEC 5.3).

The business key is the caller's promise that this message exists once: ``<record>/<purpose>/<number>``, unique for
ever. Whoever breaks it fails with StorageConflict, and sends nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites import content
from invites.content import Content
from invites.invitation import EntryState
from invites.outbox import PAYLOAD
from invites.tables import outbox
from patient_records.bulk import BulkInsert, Row
from patient_records.ids import IdSource
from patient_records.instants import to_micros
from patient_records.model import Masked
from patient_records.repository import OpenRecord

_ADD: Final = BulkInsert(
    outbox,
    (
        "id",
        "invitation_id",
        "access_token_id",
        "record_id",
        "organisation",
        "business_key",
        "reference",
        "channel",
        "state",
        "due_at",
        "attempt",
        "expires_at",
        "sealed_payload",
        "created_at",
        "purpose",
    ),
)


class Message(Masked, Struct, frozen=True):
    """One message to be sent, due at ``due_at`` (None: now).

    ``opened`` is whom it concerns (locked by the caller), ``number`` counts within the purpose and makes the business
    key. It may be sent until ``expires_at``. Where ``access_token_id`` is given, the message dies with that pair.
    """

    opened: OpenRecord
    purpose: str
    number: int
    channel: str
    content: Content
    expires_at: datetime
    access_token_id: int | None = None
    invitation_id: int | None = None
    due_at: datetime | None = None


class Post:
    """Puts messages into the outbox."""

    def __init__(self, ids: IdSource) -> None:
        self._ids = ids

    def __call__(self, connection: Connection, messages: Sequence[Message], now: datetime) -> list[int]:
        """Queue these messages in the caller's transaction, one statement; gives the ids of their entries."""
        rows = [self._row(message, now) for message in messages]
        _ADD.run(connection, rows)
        return [int(str(row[0])) for row in rows]

    def _row(self, message: Message, now: datetime) -> Row:
        record, entry_id = message.opened.record, self._ids.row_id()
        return (
            entry_id,
            message.invitation_id,
            message.access_token_id,
            record.id,
            record.organisation,
            f"{record.id}/{message.purpose}/{message.number}",
            self._ids.opaque(),
            message.channel,
            EntryState.QUEUED.value,
            to_micros(message.due_at or now),
            0,
            to_micros(message.expires_at),
            message.opened.key.seal(content.encode(message.content), PAYLOAD, entry_id),
            to_micros(now),
            message.purpose,
        )

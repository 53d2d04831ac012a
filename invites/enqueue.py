"""Pair, invitation and outbox entry, made in one transaction (SPEC 5.3).

The business key (person, purpose, number) is unique for ever, twice over: on the invitation and on the entry. Whatever
else went wrong, a person cannot get the same invitation twice; the transaction that tries fails with StorageConflict.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites.content import Content
from invites.mint import INVITATION, Mint, MintedPair
from invites.options import InviteOptions
from invites.post import Message, Post
from invites.tables import invitations
from patient_records.bulk import BulkInsert, Row
from patient_records.ids import IdSource
from patient_records.instants import to_micros
from patient_records.repository import OpenRecord

_ADD_INVITATIONS: Final = BulkInsert(
    invitations,
    ("id", "record_id", "organisation", "purpose", "number", "access_token_id", "created_at"),
)


class Draft(Struct, frozen=True):
    """An invitation to be made: for whom (opened and locked), by which channel, for what, and its number in that."""

    opened: OpenRecord
    channel: str
    purpose: str
    number: int


class Enqueue:
    """Makes invitations and puts them into the outbox."""

    def __init__(self, mint: Mint, ids: IdSource, options: InviteOptions) -> None:
        self._mint = mint
        self._ids = ids
        self._post = Post(ids)
        self._due = options.entry_due
        self._expires = options.entry_expires

    def __call__(self, connection: Connection, drafts: Sequence[Draft], now: datetime) -> None:
        """Make a pair, an invitation and an entry for each draft: three statements, whatever their number."""
        minted = self._mint.pairs(connection, [draft.opened for draft in drafts], INVITATION, now)
        invitation_ids = [self._ids.row_id() for _ in drafts]
        made = list(zip(drafts, minted, invitation_ids, strict=True))
        _ADD_INVITATIONS.run(connection, [_invitation_row(draft, pair, id_, now) for draft, pair, id_ in made])
        self._post(connection, [self._message(draft, pair, id_, now) for draft, pair, id_ in made], now)

    def _message(self, draft: Draft, minted: MintedPair, invitation_id: int, now: datetime) -> Message:
        return Message(
            draft.opened,
            draft.purpose,
            draft.number,
            draft.channel,
            Content(code=minted.pair.code, token=minted.pair.token),
            self._expires(draft.channel, minted.expires_at),
            minted.token_id,
            invitation_id,
            self._due(draft.channel, now),
        )


def _invitation_row(draft: Draft, minted: MintedPair, invitation_id: int, now: datetime) -> Row:
    record = draft.opened.record
    return (
        invitation_id,
        record.id,
        record.organisation,
        draft.purpose,
        draft.number,
        minted.token_id,
        to_micros(now),
    )

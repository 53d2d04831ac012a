"""The pairs of one person as staff see them: never a code, only what became of each; and ending them by hand."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, select, update

from invites import outbox, repository
from invites.invitation import CANCELLABLE, EntryEvent, EntryState
from invites.options import InviteOptions
from invites.outbox import Move
from invites.reassess import reassess
from invites.tables import access_tokens, invitations
from invites.tables import outbox as entries
from patient_records.instants import from_micros, maybe_instant, to_micros
from patient_records.model import PatientRecord

REVOKED: Final = "revoked"
"""Why a pair ended that staff took back."""

_T: Final = access_tokens.c
_E: Final = entries.c


class PairStory(Struct, frozen=True):
    """One pair's life. ``origin`` says who asked for it; ``wrong_answers`` counts wrong dates of birth."""

    id: int
    origin: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    wrong_answers: int

    def live(self, now: datetime) -> bool:
        """Whether it would still open the record."""
        return self.ended_at is None and self.expires_at > now


def of_record(connection: Connection, record_id: int, *, limit: int = 100) -> list[PairStory]:
    """The person's pairs, newest first."""
    statement = select(access_tokens).where(_T.record_id == record_id).order_by(_T.id.desc()).limit(limit)
    return [
        PairStory(
            id=row.id,
            origin=row.origin,
            created_at=from_micros(row.created_at),
            expires_at=from_micros(row.expires_at),
            ended_at=maybe_instant(row.ended_at),
            end_reason=row.end_reason,
            wrong_answers=row.wrong_answers,
        )
        for row in connection.execute(statement)
    ]


def revoke(
    connection: Connection,
    record: PatientRecord,
    options: InviteOptions,
    now: datetime,
    pair_ids: Collection[int] | None = None,
) -> list[int]:
    """End these pairs of that person (all that live, by default), with whatever was still to carry them.

    Gives the ids of those ended. The caller has locked the record. An invitation that had left the house stays one, so
    nobody is invited again by itself; one that had not is as if it had never been.
    """
    which = [_T.record_id == record.id, _T.ended_at.is_(None)]
    if pair_ids is not None:
        which.append(_T.id.in_(list(pair_ids)))
    ids = list(connection.scalars(select(_T.id).where(*which).order_by(_T.id)))
    if not ids:
        return []
    _cancel(connection, record.id, ids, now)
    ended = update(invitations).where(
        invitations.c.record_id == record.id,
        invitations.c.access_token_id.in_(ids),
        invitations.c.ended_at.is_(None),
    )
    connection.execute(ended.values(ended_at=to_micros(now), end_reason=REVOKED))
    repository.end_tokens(connection, ids, REVOKED, now)
    reassess(connection, [record], options, now)
    return ids


def _cancel(connection: Connection, record_id: int, pair_ids: list[int], now: datetime) -> None:
    """Cancel what was to carry these pairs and certainly was not sent."""
    unsent = (
        _E.record_id == record_id,
        _E.access_token_id.in_(pair_ids),
        _E.state.in_([state.value for state in CANCELLABLE]),
    )
    rows = connection.execute(
        select(_E.id, _E.state, _E.invitation_id).where(*unsent).order_by(_E.id).with_for_update()
    ).all()
    outbox.move(connection, [Move(row.id, EntryState(row.state), EntryEvent.CANCEL, REVOKED) for row in rows], now)
    undelivered = [row.invitation_id for row in rows if row.invitation_id is not None]
    repository.end_undelivered(connection, undelivered, EntryState.CANCELLED.value, now)

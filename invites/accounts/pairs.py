"""What accounts ask of the rows of pairs and invitations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select, update

from invites.tables import access_tokens, invitations
from patient_records.instants import to_micros


def end_invitations_of_token(connection: Connection, record_id: int, token_id: int, reason: str, now: datetime) -> None:
    """End the invitation of a pair that ended by itself, if it has one."""
    statement = update(invitations).where(
        invitations.c.record_id == record_id,
        invitations.c.access_token_id == token_id,
        invitations.c.ended_at.is_(None),
    )
    connection.execute(statement.values(ended_at=to_micros(now), end_reason=reason))


def token_end_reason(connection: Connection, token_id: int) -> str | None:
    """Why a pair ended, None while it lives."""
    reason: str | None = connection.scalar(select(access_tokens.c.end_reason).where(access_tokens.c.id == token_id))
    return reason

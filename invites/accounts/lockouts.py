"""What was locked, for staff to see: pairs that ended by wrong dates or were disowned, and people under a limit."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, select, text

from invites.accounts.limits import WRONG_BY_RECORD
from invites.tables import LOCKED, access_tokens
from patient_records.instants import from_micros, to_micros
from patient_records.limits import Exceeded, Limits
from patient_records.tables import patient_records

_T: Final = access_tokens.c


class LockedPair(Struct, frozen=True):
    """A pair that its holder cannot use any more: whose, since when, why (``wrong_dates`` or ``disowned``)."""

    token_id: int
    public_id: str
    reason: str
    at: datetime


def locked_pairs(connection: Connection, organisation: str, *, since: datetime, limit: int) -> list[LockedPair]:
    """The pairs of an organisation that somebody at the join site ended since then, newest first."""
    people = patient_records.c
    statement = (
        select(_T.id, people.public_id, _T.end_reason, _T.ended_at)
        .join(patient_records, people.id == _T.record_id)
        .where(text(f"access_tokens.{LOCKED}"), _T.organisation == organisation, _T.ended_at >= to_micros(since))
        .order_by(_T.ended_at.desc())
        .limit(limit)
    )
    return [
        LockedPair(row.id, row.public_id, row.end_reason, from_micros(row.ended_at))
        for row in connection.execute(statement)
    ]


def locked_person(connection: Connection, limits: Limits, record_id: int, now: datetime) -> Exceeded | None:
    """Whether so many wrong answers came for one person that even right ones are refused now, and for how long."""
    return limits.exceeded(connection, WRONG_BY_RECORD, str(record_id), now)


def lift(connection: Connection, limits: Limits, record_id: int) -> None:
    """Let somebody try again at once: staff saw who they are. A pair that ended stays ended."""
    limits.forget(connection, WRONG_BY_RECORD, str(record_id))

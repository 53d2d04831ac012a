"""What was locked, for staff to see: pairs that ended by wrong dates or were disowned, and people under a limit."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, func, select, text

from invites.accounts.limits import WRONG_BY_RECORD
from invites.tables import access_tokens
from patient_records.instants import from_micros, to_micros
from patient_records.limits import Exceeded, Limits

_T: Final = access_tokens.c

LOCKED: Final = "end_reason IN ('wrong_dates', 'disowned')"
"""Ends that somebody at the join site brought about."""


class LockedPair(Struct, frozen=True):
    """A pair that its holder cannot use any more: whose, since when, why (``wrong_dates`` or ``disowned``)."""

    token_id: int
    record_id: int
    organisation: str
    reason: str
    at: datetime


def locked_pairs(
    connection: Connection, organisation: str, *, since: datetime, limit: int, record_id: int | None = None
) -> list[LockedPair]:
    """The pairs of an organisation (or of one of its people) that were locked since then, newest first."""
    statement = (
        select(_T.id, _T.record_id, _T.organisation, _T.end_reason, _T.ended_at)
        .where(text(LOCKED), _T.organisation == organisation, _T.ended_at >= to_micros(since))
        .order_by(_T.ended_at.desc())
        .limit(limit)
    )
    if record_id is not None:
        statement = statement.where(_T.record_id == record_id)
    return [
        LockedPair(row.id, row.record_id, row.organisation, row.end_reason, from_micros(row.ended_at))
        for row in connection.execute(statement)
    ]


def lock_counts(connection: Connection, organisation: str, *, now: datetime, over: timedelta) -> dict[str, int]:
    """Count the locked pairs of an organisation in the time before now, by reason: what an alarm looks at."""
    since = to_micros(now - over)
    statement = (
        select(_T.end_reason, func.count())
        .where(text(LOCKED), _T.organisation == organisation, _T.ended_at >= since)
        .group_by(_T.end_reason)
    )
    return {reason: count for reason, count in connection.execute(statement)}  # noqa: C416 (a row is no pair to mypy)


def locked_person(connection: Connection, limits: Limits, record_id: int, now: datetime) -> Exceeded | None:
    """Whether so many wrong answers came for one person that even right ones are refused now, and for how long."""
    return limits.exceeded(connection, WRONG_BY_RECORD, str(record_id), now)


def lift(connection: Connection, limits: Limits, record_id: int) -> None:
    """Let somebody try again at once: staff saw who they are. A pair that ended stays ended."""
    limits.forget(connection, WRONG_BY_RECORD, str(record_id))

"""What was locked, for staff to see: pairs that ended by wrong dates or were disowned, and people under a limit."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, select, text

from invites.accounts import repository
from invites.accounts.emails import plain
from invites.accounts.limits import LOGINS_BY_EMAIL, WRONG_BY_RECORD
from invites.tables import LOCKED, access_tokens
from patient_records.instants import from_micros, to_micros
from patient_records.limits import Exceeded, Limits
from patient_records.repository import OpenRecord
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


def locked_login(connection: Connection, limits: Limits, opened: OpenRecord, now: datetime) -> Exceeded | None:
    """Whether so many logins with the address of that person's account failed that it is closed to all, and how long.

    Who failed too often from one place alone is not seen here: that closes the account from there, for a quarter of an
    hour, and from nowhere else.
    """
    login = _login_of(connection, opened)
    return None if login is None else limits.exceeded(connection, LOGINS_BY_EMAIL, login, now)


def lift(connection: Connection, limits: Limits, opened: OpenRecord) -> None:
    """Let somebody try again at once: staff saw who they are. A pair that ended stays ended."""
    limits.forget(connection, WRONG_BY_RECORD, str(opened.record.id))
    login = _login_of(connection, opened)
    if login is not None:
        limits.forget(connection, LOGINS_BY_EMAIL, login)


def _login_of(connection: Connection, opened: OpenRecord) -> str | None:
    """The address of the person's account, as limits count it."""
    account = repository.active_by_record(connection, opened.record.id)
    return None if account is None else plain(account.owner(opened.key).email)

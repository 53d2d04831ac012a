"""Who is logged in: a random text in a cookie, its hash in the database, over after half an hour of rest or ten hours.

In the database, so that a session ends everywhere at once: at its logout, when the account is disabled, reset or gets
another password (:attr:`~web.ops.accounts.StaffAccount.credentials_at`), and after a restart it is still there.
"""

from __future__ import annotations

import hmac
import secrets
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from patient_records.instants import from_micros, to_micros
from patient_records.model import Masked
from web.ops import accounts
from web.ops.accounts import StaffAccount
from web.ops.tables import staff_sessions

IDLE: Final = timedelta(minutes=30)
"""A desk that nobody sits at (NIST SP 800-63B, 7.2: 30 minutes)."""

LONGEST: Final = timedelta(hours=10)
"""A shift; then the password again (NIST SP 800-63B, 7.2: 12 hours at most)."""

_NOTICED: Final = timedelta(minutes=1)
"""How exactly the last use is known: a row is not written at every click."""

_BYTES: Final = 32
_S: Final = staff_sessions.c


class Session(Masked, Struct, frozen=True):
    """A session that lives: its account, and whether its last use is to be noted."""

    account: StaffAccount
    stale: bool


def begin(connection: Connection, account: StaffAccount, now: datetime) -> str | None:
    """Begin a session; gives the text for the cookie, which nobody can read anywhere afterwards.

    None when the account was disabled, reset or got another password since ``account`` was read.
    """
    if not accounts.unchanged(connection, account):
        return None
    text = secrets.token_urlsafe(_BYTES)
    connection.execute(
        insert(staff_sessions).values(
            session_hash=_hash(text), staff_id=account.id, created_at=to_micros(now), seen_at=to_micros(now)
        )
    )
    return text


def holder(connection: Connection, text: str, now: datetime) -> Session | None:
    """Whose session this is; None when it is over, unknown, or its account is not what it was. For a reader."""
    row = connection.execute(select(staff_sessions).where(_S.session_hash == _hash(text))).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.session_hash), _hash(text)):
        return None
    created, seen = from_micros(row.created_at), from_micros(row.seen_at)
    account = accounts.by_id(connection, row.staff_id)
    if account is None or account.disabled_at is not None or created < account.credentials_at:
        return None
    if seen + IDLE <= now or created + LONGEST <= now:
        return None
    return Session(account, stale=seen + _NOTICED <= now)


def note(connection: Connection, text: str, now: datetime) -> None:
    """Note that it is used now."""
    connection.execute(update(staff_sessions).where(_S.session_hash == _hash(text)).values(seen_at=to_micros(now)))


def end(connection: Connection, text: str) -> None:
    """End it: a logout."""
    connection.execute(delete(staff_sessions).where(_S.session_hash == _hash(text)))


def end_of_staff(connection: Connection, staff_id: int) -> None:
    """End all of an account's."""
    connection.execute(delete(staff_sessions).where(_S.staff_id == staff_id))


def any_over(connection: Connection, now: datetime) -> bool:
    """Whether :func:`sweep` would find anything; for a reader."""
    return connection.scalar(select(_S.staff_id).where(_over(now)).limit(1)) is not None


def sweep(connection: Connection, now: datetime) -> int:
    """Delete those that are over by time; gives how many."""
    return connection.execute(delete(staff_sessions).where(_over(now))).rowcount


def _over(now: datetime) -> ColumnElement[bool]:
    return (_S.seen_at <= to_micros(now - IDLE)) | (_S.created_at <= to_micros(now - LONGEST))


def _hash(text: str) -> bytes:
    """A plain SHA-256 does: nobody can try 2**256 texts."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()

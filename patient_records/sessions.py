"""Who is logged in, kept in the database; what opens a session is kept by its browser alone.

The cookie is a secret of 256 random bits. The row is found by a hash of it, and what the session holds (such as a
record key) is sealed under a key that is made from it. So a stolen database has sessions that nobody can take up, and
record keys in them that nothing opens; and a cookie that was stolen before a login is worth nothing after it, because a
login begins a new session. A session ends when it was idle for too long, at an absolute time, or when it is ended.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, delete, insert, select, update

from patient_records.errors import SealBroken
from patient_records.ids import IdSource
from patient_records.instants import from_micros, to_micros
from patient_records.model import Masked
from patient_records.sealing import SealingKey
from patient_records.tables import sessions

SECRET_BYTES: Final = 32
_PLACE: Final = "sessions.sealed"
_NOTED_EVERY: Final = timedelta(minutes=1)
"""How exactly it is known when a session was last used: a page that only reads should not cost a commit each time."""

_SWEPT_AT_A_TIME: Final = 1000
_C: Final = sessions.c


class Kind(Struct, frozen=True):
    """A kind of session: its name, how long it lives unused, and how long at the most."""

    name: str
    idle: timedelta
    longest: timedelta


class Session(Masked, Struct, frozen=True):
    """One session, opened by its cookie. ``subject`` is whose it is (an account's row), ``data`` what it holds."""

    id: int
    kind: str
    subject: int | None
    data: bytes
    began_at: datetime
    cookie: str


class Sessions:
    """The repository of sessions. The caller brings the transaction."""

    def __init__(self, ids: IdSource, random_bytes: Callable[[int], bytes], kinds: Mapping[str, Kind]) -> None:
        self._ids = ids
        self._random_bytes = random_bytes
        self._kinds = dict(kinds)

    def begin(self, connection: Connection, kind: str, subject: int | None, data: bytes, now: datetime) -> Session:
        """Begin a session; its cookie is in the answer and nowhere else."""
        secret, row_id, rule = self._random_bytes(SECRET_BYTES), self._ids.row_id(), self._kinds[kind]
        connection.execute(
            insert(sessions).values(
                id=row_id,
                lookup=_lookup(secret),
                kind=kind,
                subject=subject,
                sealed=_key(secret).seal(data, _PLACE, row_id),
                began_at=to_micros(now),
                used_at=to_micros(now),
                idle_ends_at=to_micros(now + rule.idle),
                ends_at=to_micros(now + rule.longest),
            )
        )
        cookie = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
        return Session(row_id, kind, subject, data, now, cookie)

    def find(self, connection: Connection, kind: str, cookie: str, now: datetime) -> Session | None:
        """Open the live session of that cookie and kind; only reads."""
        secret = _secret(cookie)
        if secret is None:
            return None
        at = to_micros(now)
        live = (_C.lookup == _lookup(secret), _C.kind == kind, _C.idle_ends_at > at, _C.ends_at > at)
        row = connection.execute(select(sessions).where(*live)).one_or_none()
        if row is None:
            return None
        try:
            data = _key(secret).open(row.sealed, _PLACE, row.id)
        except SealBroken:
            return None
        return Session(row.id, row.kind, row.subject, data, from_micros(row.began_at), cookie)

    def due_to_be_noted(self, connection: Connection, session: Session, now: datetime) -> bool:
        """Whether :meth:`note_use` has anything to write; for a reader."""
        used_at = connection.scalar(select(_C.used_at).where(_C.id == session.id))
        return used_at is not None and from_micros(used_at) + _NOTED_EVERY <= now

    def note_use(self, connection: Connection, session: Session, now: datetime) -> None:
        """Note that the session was used now: its idle time begins anew."""
        rule = self._kinds[session.kind]
        used = update(sessions).where(_C.id == session.id)
        connection.execute(used.values(used_at=to_micros(now), idle_ends_at=to_micros(now + rule.idle)))

    def end(self, connection: Connection, session: Session) -> None:
        """End this session."""
        connection.execute(delete(sessions).where(_C.id == session.id))

    def end_all(self, connection: Connection, kind: str, subject: int, *, but: Session | None = None) -> int:
        """End all sessions of that subject, save perhaps one; gives how many."""
        mine = delete(sessions).where(_C.kind == kind, _C.subject == subject)
        if but is not None:
            mine = mine.where(_C.id != but.id)
        return connection.execute(mine).rowcount


def any_over(connection: Connection, now: datetime) -> bool:
    """Whether :func:`sweep` would find anything; for a reader."""
    return connection.scalar(select(_C.id).where(_C.idle_ends_at <= to_micros(now)).limit(1)) is not None


def sweep(connection: Connection, now: datetime) -> int:
    """Delete sessions that are over, a thousand at most; gives how many."""
    over = select(_C.id).where(_C.idle_ends_at <= to_micros(now)).limit(_SWEPT_AT_A_TIME)
    ids = list(connection.scalars(over))
    if ids:
        connection.execute(delete(sessions).where(_C.id.in_(ids)))
    return len(ids)


def _secret(cookie: str) -> bytes | None:
    try:
        secret = base64.b64decode(cookie.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
    return secret if len(secret) == SECRET_BYTES else None


def _lookup(secret: bytes) -> bytes:
    """What finds the row. The secret has 256 bits, so a plain hash gives nothing of it away."""
    return hashlib.sha256(b"doorstep session\x00" + secret).digest()


def _key(secret: bytes) -> SealingKey:
    return SealingKey(hmac.digest(secret, b"doorstep session key", "sha256"))

"""Bearers: what a client shows at each call (RFC 6750). Each lives ten minutes; nobody renews one, but asks anew."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from patient_records.instants import to_micros
from web.access import secret_text
from web.access.clients import Client, client_of
from web.access.tables import api_clients, bearers

LIFETIME: Final = timedelta(seconds=600)
"""SPEC 7."""

_B: Final = bearers.c
_SWEPT_AT_A_TIME: Final = 1000


def issue(connection: Connection, client: Client, random_bytes: Callable[[int], bytes], now: datetime) -> str:
    """Make a bearer for that client, in the caller's transaction; nobody can read it anywhere afterwards."""
    text = secret_text.new(secret_text.BEARER, random_bytes)
    connection.execute(
        insert(bearers).values(
            bearer_hash=secret_text.hash_of(text),
            api_client_id=client.id,
            created_at=to_micros(now),
            expires_at=to_micros(now + LIFETIME),
        )
    )
    used = update(api_clients).where(api_clients.c.id == client.id)
    connection.execute(used.values(last_used_at=to_micros(now)))
    return text


def holder(connection: Connection, text: str, now: datetime) -> Client | None:
    """The client whose bearer this is; None for an unknown, expired or revoked one. For a reader."""
    kept = secret_text.hash_of(text)
    statement = (
        select(api_clients, _B.bearer_hash)
        .join(api_clients, api_clients.c.id == _B.api_client_id)
        .where(_B.bearer_hash == kept, _B.expires_at > to_micros(now), api_clients.c.revoked_at.is_(None))
    )
    row = connection.execute(statement).one_or_none()
    if row is None or not secret_text.same(text, bytes(row.bearer_hash)):
        return None
    return client_of(row)


def any_over(connection: Connection, now: datetime) -> bool:
    """Whether :func:`sweep` would find anything; for a reader."""
    return connection.scalar(select(_B.expires_at).where(_B.expires_at <= to_micros(now)).limit(1)) is not None


def sweep(connection: Connection, now: datetime) -> int:
    """Delete bearers that expired, a thousand at most; gives how many."""
    over = select(_B.bearer_hash).where(_B.expires_at <= to_micros(now)).limit(_SWEPT_AT_A_TIME)
    return connection.execute(delete(bearers).where(_B.bearer_hash.in_(over))).rowcount

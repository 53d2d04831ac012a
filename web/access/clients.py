"""Clients: made, listed, revoked, and known by their secret. The caller brings the transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from patient_records.audit import Actor
from patient_records.audit_actions import ActorKind
from patient_records.ids import IdSource
from patient_records.instants import from_micros, maybe_instant, to_micros
from patient_records.model import Masked
from web.access import secret_text
from web.access.tables import api_clients, bearers

_C: Final = api_clients.c
_NOBODY: Final = bytes(32)

CLIENT_ID: Final = "dsc_"
"""What every client id begins with, so that it is known for one wherever it turns up."""


class Scope(StrEnum):
    """What a client may do, within its organisation.

    ``system`` and ``coordinator`` may have pairs issued; ``status`` may only ask who is known, invited or registered.
    """

    SYSTEM = "system"
    COORDINATOR = "coordinator"
    STATUS = "status"


class Client(Struct, frozen=True):
    """One client. ``id`` is its row, ``client_id`` what it calls itself; ``staff_id`` whose personal one it is."""

    id: int
    client_id: str
    label: str
    organisation: str
    scope: Scope
    staff_id: int | None
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def actor(self) -> Actor:
        """Who acts, for the audit trail: whoever uses a personal client acts as its Team Coordinator."""
        if self.staff_id is not None:
            return Actor(ActorKind.COORDINATOR, str(self.staff_id))
        return Actor(ActorKind.SYSTEM_CLIENT, self.client_id)


class NewClient(Masked, Struct, frozen=True):
    """A client just made, with its secret: the one time that there is one."""

    client: Client
    secret: str


class Clients:
    """All clients of a database."""

    def __init__(self, ids: IdSource, random_bytes: Callable[[int], bytes]) -> None:
        self._ids = ids
        self._random_bytes = random_bytes

    def add(
        self,
        connection: Connection,
        label: str,
        organisation: str,
        scope: Scope,
        now: datetime,
        *,
        staff_id: int | None = None,
    ) -> NewClient:
        """Make a client: a System Client, or with ``staff_id`` the personal one of that staff account."""
        client = Client(self._ids.row_id(), CLIENT_ID + self._ids.opaque(), label, organisation, scope, staff_id, now)
        secret = secret_text.new(secret_text.SECRET, self._random_bytes)
        connection.execute(
            insert(api_clients).values(
                id=client.id,
                client_id=client.client_id,
                label=label,
                organisation=organisation,
                scope=scope.value,
                secret_hash=secret_text.hash_of(secret),
                staff_id=staff_id,
                created_at=to_micros(now),
            )
        )
        return NewClient(client, secret)


def every(connection: Connection) -> list[Client]:
    """All clients, the revoked included, in the order in which they were made."""
    return [client_of(row) for row in connection.execute(select(api_clients).order_by(_C.id))]


def of_staff(connection: Connection, staff_id: int) -> list[Client]:
    """The personal clients of a staff account, the revoked included, in the order in which they were made."""
    rows = connection.execute(select(api_clients).where(_C.staff_id == staff_id).order_by(_C.id))
    return [client_of(row) for row in rows]


def find(connection: Connection, client_id: str) -> Client | None:
    """The client of that id, revoked or not."""
    if not _may_be_one(client_id):
        return None
    row = connection.execute(select(api_clients).where(_C.client_id == client_id)).one_or_none()
    return None if row is None else client_of(row)


def authenticate(connection: Connection, client_id: str, secret: str) -> Client | None:
    """The client that knows this secret; None for an unknown or revoked one, or a wrong secret, after the same work."""
    asked = client_id if _may_be_one(client_id) else ""
    row = connection.execute(select(api_clients).where(_C.client_id == asked)).one_or_none()
    known = secret_text.same(secret, bytes(row.secret_hash) if row is not None else _NOBODY)
    return client_of(row) if row is not None and known and row.revoked_at is None else None


def _may_be_one(client_id: str) -> bool:
    """Whether it may be looked up: PostgreSQL takes no text with NUL, and would fail where nobody is known."""
    return client_id.isascii() and client_id.isprintable()


def revoke(connection: Connection, client: Client, now: datetime) -> None:
    """End a client and its bearers at once; one that was revoked before stays as it is."""
    _revoke(connection, _C.id == client.id, now)


def revoke_of_staff(connection: Connection, staff_id: int, now: datetime) -> None:
    """End all personal clients of a staff account: for when the account ends."""
    _revoke(connection, _C.staff_id == staff_id, now)


def _revoke(connection: Connection, which: ColumnElement[bool], now: datetime) -> None:
    connection.execute(update(api_clients).where(which, _C.revoked_at.is_(None)).values(revoked_at=to_micros(now)))
    connection.execute(delete(bearers).where(bearers.c.api_client_id.in_(select(_C.id).where(which))))


def client_of(row: Any) -> Client:
    """The client of a row that has all columns of the table."""
    return Client(
        id=row.id,
        client_id=row.client_id,
        label=row.label,
        organisation=row.organisation,
        scope=Scope(row.scope),
        staff_id=row.staff_id,
        created_at=from_micros(row.created_at),
        last_used_at=maybe_instant(row.last_used_at),
        revoked_at=maybe_instant(row.revoked_at),
    )

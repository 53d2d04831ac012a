"""The audit trail: who did what, when, on whose behalf, to which record.

An entry is written in the transaction of what it tells of: both are committed, or neither. It has ids, codes and
counts, never anything of a person's (:data:`~patient_records.audit_actions.DETAILS` is an allow list). Nothing in
doorstep changes or deletes one.

That nobody else does is what the keyed hashes are for. Each entry carries its own (HMAC-SHA256 under a key derived
from the key file), so an entry cannot be changed or invented without that key. Hashes that chain entry to entry would
catch a deletion, too, but the order of entries is not known before they are committed: transactions of several
daemons run side by side, and a chain would make each wait for the last. So the chain is made afterwards, of what is
committed: :mod:`~patient_records.audit_seals`.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct, field
from sqlalchemy import Connection, Row, select

from patient_records import tables
from patient_records.audit_actions import DETAILS, VIEWS, Action, ActorKind, DetailValue
from patient_records.bulk import BulkInsert
from patient_records.ids import IdSource
from patient_records.instants import from_micros, to_micros
from patient_records.keys import KeyRing

_TABLE: Final = tables.audit_entries
_ADD: Final = BulkInsert(_TABLE, [column.name for column in _TABLE.columns if column.name != "seal"])
_PURPOSE: Final = "audit trail"


class Actor(Struct, frozen=True):
    """Who acts: a kind, and an id within it (see :class:`~patient_records.audit_actions.ActorKind`)."""

    kind: ActorKind
    id: str = ""


class AuditEntry(Struct, frozen=True):
    """What is to be written. ``organisation`` is the one whose rights were used, "" where a command has none."""

    actor: Actor
    action: Action
    organisation: str = ""
    record_id: int | None = None
    detail: Mapping[str, DetailValue] = field(default_factory=dict)


class WrittenEntry(Struct, frozen=True):
    """An entry as it stands in the trail. ``id`` grows with time; ``seal`` is None until it is sealed."""

    id: int
    at: datetime
    actor: Actor
    action: str
    organisation: str
    record_id: int | None
    detail: dict[str, DetailValue]
    seal: int | None


class RecordView(Struct, frozen=True):
    """Somebody looked at a record: whose staff, in what role; not who, for that is the hospital's to tell."""

    at: datetime
    organisation: str
    role: ActorKind


class AuditKey:
    """The key of the trail, and the hashes it makes."""

    def __init__(self, ring: KeyRing) -> None:
        self.key_id, self._secret = ring.derived_secret(_PURPOSE)

    def authenticate(self, *parts: object) -> bytes:
        """The keyed hash of a list of parts; no two different lists are the same bytes."""
        return hmac.digest(self._secret, msgspec.json.encode(parts), "sha256")


class AuditTrail:
    """Writes to the trail and reads it. The caller brings the transaction."""

    def __init__(self, ring: KeyRing, ids: IdSource) -> None:
        self.key = AuditKey(ring)
        self._ids = ids

    def append(self, connection: Connection, entries: Sequence[AuditEntry], now: datetime) -> None:
        """Write entries, all in one statement. Raises ValueError for a detail that no allow list knows."""
        _ADD.run(connection, [self._row(entry, now) for entry in entries])

    def entries(
        self,
        connection: Connection,
        *,
        limit: int,
        before: int | None = None,
        record_id: int | None = None,
        actor: Actor | None = None,
        action: Action | None = None,
        organisation: str | None = None,
    ) -> list[WrittenEntry]:
        """The newest entries, newest first, of those that fit; ``before`` is the id of the last one seen already."""
        c = _TABLE.c
        statement = select(_TABLE).order_by(c.id.desc()).limit(limit)
        wanted = ((c.record_id, record_id), (c.action, action), (c.organisation, organisation))
        for column, value in wanted:
            if value is not None:
                statement = statement.where(column == value)
        if actor is not None:
            statement = statement.where(c.actor_kind == actor.kind.value, c.actor_id == actor.id)
        if before is not None:
            statement = statement.where(c.id < before)
        return [_written(row) for row in connection.execute(statement)]

    def views(
        self, connection: Connection, record_id: int, *, limit: int, before: datetime | None = None
    ) -> list[RecordView]:
        """Who looked at this record, newest first, by organisation and role: what the patient may see."""
        c = _TABLE.c
        statement = select(c.at, c.organisation, c.actor_kind).where(
            c.record_id == record_id, c.action.in_([view.value for view in VIEWS])
        )
        if before is not None:
            statement = statement.where(c.at < to_micros(before))
        rows = connection.execute(statement.order_by(c.id.desc()).limit(limit))
        return [RecordView(from_micros(row.at), row.organisation, ActorKind(row.actor_kind)) for row in rows]

    def _row(self, entry: AuditEntry, now: datetime) -> tuple[object, ...]:
        for name, value in entry.detail.items():
            if name not in DETAILS or not DETAILS[name](value):
                raise ValueError(f"an audit entry of {entry.action.value} may not tell this of {name!r}")
        content = (
            self._ids.row_id(),
            to_micros(now),
            entry.actor.kind.value,
            entry.actor.id,
            entry.action.value,
            entry.organisation,
            entry.record_id,
            msgspec.json.encode(dict(sorted(entry.detail.items()))).decode(),
            self.key.key_id,
        )
        return (*content, self.key.authenticate("entry", *content))


def _written(r: Row[Any]) -> WrittenEntry:
    return WrittenEntry(
        id=r.id,
        at=from_micros(r.at),
        actor=Actor(ActorKind(r.actor_kind), r.actor_id),
        action=r.action,
        organisation=r.organisation,
        record_id=r.record_id,
        detail=msgspec.json.decode(r.detail, type=dict[str, DetailValue]),
        seal=r.seal,
    )

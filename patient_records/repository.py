"""Records in their rows: found by blind index, opened, made, saved; always many at a time.

The caller brings the transaction and decides about order; nothing here commits. On PostgreSQL a loaded record can be
locked (``FOR UPDATE``, in the order of ids, so that two daemons never wait for each other in a ring); on SQLite the
transaction itself is the lock.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, delete, tuple_

from patient_records import tables
from patient_records.blind_index import BlindIndex
from patient_records.bulk import BulkInsert, BulkSelect
from patient_records.errors import SealBroken
from patient_records.identifier_kinds import IdentifierKinds
from patient_records.ids import IdSource
from patient_records.instants import from_micros, maybe_instant, maybe_micros, to_micros
from patient_records.keys import KeyRing
from patient_records.model import Demographics, Identifier, Masked, PatientRecord, Standing
from patient_records.sealing import SealingKey

_RECORDS: Final = tables.patient_records
_COLUMNS: Final = tuple(column.name for column in _RECORDS.columns)
_CHANGING: Final = tuple(n for n in _COLUMNS if n not in {"id", "public_id", "organisation", "created_at"})

_MAKE: Final = BulkInsert(_RECORDS, _COLUMNS)  # an id that is taken is a conflict, never somebody else's row
_CHANGE: Final = BulkInsert(_RECORDS, _COLUMNS, key=("id",), update=_CHANGING)
_ADD_IDENTIFIERS: Final = BulkInsert(tables.identifiers, ("blind", "record_id"))
_ADD_CONTACTS: Final = BulkInsert(tables.contact_points, ("blind", "record_id"), key=("blind", "record_id"))

_FIND: Final = BulkSelect(tables.identifiers, ("blind", "record_id"), "blind")
_LOAD: Final = BulkSelect(_RECORDS, _COLUMNS, "id", order="id")
_FORGOTTEN_AT_ONCE: Final = 500
"""Contact points in one statement: a batch of thousands has more than either database takes values."""

_LOCK: Final = " FOR UPDATE"
_LOCK_THE_FREE: Final = " FOR UPDATE SKIP LOCKED"

_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(Demographics)


class StoredRecord(NamedTuple):
    """A row of ``patient_records``, as it is stored: the columns of the table in their order."""

    id: int
    public_id: str
    organisation: str
    version: int
    key_id: str
    wrapped_key: bytes
    sealed: bytes
    registered_at: int | None
    deleted_at: int | None
    merged_into: int | None
    hold: str | None
    exclusion: str | None
    opted_out_at: int | None
    created_at: int
    changed_at: int


class OpenRecord(Masked, Struct, frozen=True):
    """A record, opened: its value, its record key, and when it was made. ``record.version`` 0 means: never saved.

    ``wrapped_key`` is the record key as it lies in the row, under the organisation key of the id ``wrapped_by``.
    """

    record: PatientRecord
    key: SealingKey
    created_at: datetime
    wrapped_by: str = ""
    wrapped_key: bytes = b""

    def changed(self, demographics: Demographics, standing: Standing) -> OpenRecord:
        """The same record with other content; saving counts the version up."""
        record = self.record
        return OpenRecord(
            PatientRecord(record.id, record.public_id, record.organisation, record.version, demographics, standing),
            self.key,
            self.created_at,
            self.wrapped_by,
            self.wrapped_key,
        )


class Records:
    """The repository of patient records."""

    def __init__(self, ring: KeyRing, ids: IdSource) -> None:
        self._ring = ring
        self._ids = ids
        self.blind_index: BlindIndex = ring.blind_index
        self.kinds = IdentifierKinds(ring)

    def find(self, connection: Connection, blinds: Collection[bytes]) -> dict[bytes, int]:
        """Which record each blind index of an identifier finds; the unknown ones are left out."""
        return {bytes(blind): record_id for blind, record_id in _FIND.run(connection, blinds)}

    def find_one(self, connection: Connection, identifier: Identifier) -> int | None:
        """The id of the record that this identifier finds, current or alias."""
        blind = self.blind_index.identifier(identifier)
        return self.find(connection, [blind]).get(blind)

    def load(self, connection: Connection, ids: Collection[int], *, lock: bool = False) -> dict[int, OpenRecord]:
        """Open the records of these ids; ``lock`` holds their rows until the transaction ends.

        Raises :class:`SealBroken` or :class:`KeyFault` when a row does not open.
        """
        rows = _LOAD.run(connection, ids, _LOCK if lock else "")
        return {row[0]: self.open(StoredRecord(*row)) for row in rows}

    def load_free(self, connection: Connection, ids: Collection[int]) -> dict[int, OpenRecord]:
        """Open and lock those of these records that nobody else holds just now; the others are left out."""
        rows = _LOAD.run(connection, ids, _LOCK_THE_FREE)
        return {row[0]: self.open(StoredRecord(*row)) for row in rows}

    def open(self, row: StoredRecord) -> OpenRecord:
        """Open one row of the table. Raises SealBroken when it does not open, or not to what a record is made of."""
        return self.open_with(row, self._ring.sealing_key(row.key_id).unwrap(row.wrapped_key, row.id))

    def open_with(self, row: StoredRecord, key: SealingKey) -> OpenRecord:
        """Open one row with its record key, had from a pair or a password: no organisation key is asked for.

        Raises SealBroken.
        """
        plain = key.open(row.sealed, "patient_records", row.id, row.version)
        standing = Standing(
            registered_at=maybe_instant(row.registered_at),
            deleted_at=maybe_instant(row.deleted_at),
            merged_into=row.merged_into,
            hold=row.hold,
            exclusion=row.exclusion,
            opted_out_at=maybe_instant(row.opted_out_at),
        )
        try:
            demographics = _decoder.decode(plain)
        except msgspec.MsgspecError:
            raise SealBroken("patient_records") from None
        record = PatientRecord(row.id, row.public_id, row.organisation, row.version, demographics, standing)
        return OpenRecord(record, key, from_micros(row.created_at), row.key_id, bytes(row.wrapped_key))

    def row(self, connection: Connection, record_id: int, *, lock: bool = False) -> StoredRecord | None:
        """One row as it is stored, sealed; ``lock`` holds it until the transaction ends."""
        rows = _LOAD.run(connection, [record_id], _LOCK if lock else "")
        return StoredRecord(*rows[0]) if rows else None

    def make(self, organisation: str, demographics: Demographics, now: datetime) -> OpenRecord:
        """Make a new record with a new record key; it is in no table before :meth:`save`."""
        record = PatientRecord(self._ids.row_id(), self._ids.opaque(), organisation, 0, demographics, Standing())
        return OpenRecord(record, SealingKey.generate(), now)

    def save(
        self, connection: Connection, changes: Sequence[tuple[OpenRecord | None, OpenRecord]], now: datetime
    ) -> list[OpenRecord]:
        """Seal and store records as they are now, given each as it was before (None: new); gives them as stored.

        Raises (at the end of the transaction) StorageConflict when somebody else took an identifier meanwhile.
        """
        saved = [_counted_up(after) for _, after in changes]
        new = [before is None for before, _ in changes]
        _MAKE.run(connection, [self._row(one, now) for one, is_new in zip(saved, new, strict=True) if is_new])
        _CHANGE.run(connection, [self._row(one, now) for one, is_new in zip(saved, new, strict=True) if not is_new])
        befores = [before.record.demographics if before else Demographics() for before, _ in changes]
        pairs = list(zip(befores, saved, strict=True))
        if saved:
            seen = {one.kind for opened in saved for one in opened.record.demographics.identifiers}
            self.kinds.note(connection, seen, saved[0].record.organisation)
        self._give_up(connection, pairs)
        _ADD_IDENTIFIERS.run(connection, [row for before, after in pairs for row in self._new_blinds(before, after)])
        self._index_contacts(connection, pairs)
        return saved

    def _row(self, opened: OpenRecord, now: datetime) -> tuple[object, ...]:
        record, standing = opened.record, opened.record.standing
        outer = self._ring.organisation_key(record.organisation)
        sealed = opened.key.seal(_encoder.encode(record.demographics), "patient_records", record.id, record.version)
        return (
            record.id,
            record.public_id,
            record.organisation,
            record.version,
            outer.key_id,
            # Wrapped anew only under a new organisation key: random nonces are for 2**32 uses, not for every message.
            opened.wrapped_key if opened.wrapped_by == outer.key_id else outer.wrap(opened.key, record.id),
            sealed,
            maybe_micros(standing.registered_at),
            maybe_micros(standing.deleted_at),
            standing.merged_into,
            standing.hold,
            standing.exclusion,
            maybe_micros(standing.opted_out_at),
            to_micros(opened.created_at),
            to_micros(now),
        )

    def _give_up(self, connection: Connection, pairs: Sequence[tuple[Demographics, OpenRecord]]) -> None:
        """Take identifiers out of the index that a record no longer has: another record of this batch has them now."""
        for before, after in pairs:
            left = after.record.demographics
            if before.identifiers != left.identifiers or before.aliases != left.aliases:
                gone = {*before.identifiers, *before.aliases}.difference(left.identifiers, left.aliases)
                if gone:
                    kept = {self.blind_index.identifier(one) for one in left.identifiers + left.aliases}
                    blinds = {self.blind_index.identifier(one) for one in gone} - kept
                    table = tables.identifiers
                    mine = (table.c.blind.in_(blinds), table.c.record_id == after.record.id)
                    connection.execute(delete(table).where(*mine))

    def _new_blinds(self, before: Demographics, after: OpenRecord) -> Iterable[tuple[bytes, int]]:
        """Blind indexes that find the record now and did not before; two spellings of one number have one."""
        known = {*before.identifiers, *before.aliases}
        now_known = after.record.demographics
        new = [one for one in dict.fromkeys(now_known.identifiers + now_known.aliases) if one not in known]
        if new:
            old = {self.blind_index.identifier(identifier) for identifier in known}
            for blind in dict.fromkeys(map(self.blind_index.identifier, new)):
                if blind not in old:
                    yield blind, after.record.id

    def _index_contacts(self, connection: Connection, pairs: Sequence[tuple[Demographics, OpenRecord]]) -> None:
        added, gone = [], []
        for before, after in pairs:
            now_reached = after.record.demographics
            if (before.home, before.work) == (now_reached.home, now_reached.work):
                continue
            old = {self.blind_index.contact(point) for point in before.contact_points}
            new = {self.blind_index.contact(point) for point in now_reached.contact_points}
            added += [(blind, after.record.id) for blind in sorted(new - old)]
            gone += [(blind, after.record.id) for blind in sorted(old - new)]
        table = tables.contact_points
        for start in range(0, len(gone), _FORGOTTEN_AT_ONCE):
            some = gone[start : start + _FORGOTTEN_AT_ONCE]
            connection.execute(delete(table).where(tuple_(table.c.blind, table.c.record_id).in_(some)))
        _ADD_CONTACTS.run(connection, added)


def _counted_up(opened: OpenRecord) -> OpenRecord:
    record = opened.record
    return OpenRecord(
        PatientRecord(
            record.id,
            record.public_id,
            record.organisation,
            record.version + 1,
            record.demographics,
            record.standing,
        ),
        opened.key,
        opened.created_at,
        opened.wrapped_by,
        opened.wrapped_key,
    )

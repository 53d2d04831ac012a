"""The journal: every message received, its bytes sealed, its outcome and its answer beside them.

A message that changed a person is sealed under that person's record key, so that it goes when they go; what belongs to
no single record (refused, ambiguous, unreadable) under the organisation key. A repeat of a message that was answered
positively makes no second entry: its entry counts it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, select, update

from patient_records import tables
from patient_records.bulk import BulkInsert, BulkSelect
from patient_records.errors import SealBroken
from patient_records.instants import to_micros
from patient_records.keys import KeyRing
from patient_records.model import Masked
from patient_records.quarantine import WAITING
from patient_records.sealing import SealingKey

POSITIVE: Final = "AA"

_ANSWER: Final = "acknowledgment"

_JOURNAL: Final = tables.journal
_WRITE: Final = BulkInsert(_JOURNAL, tuple(column.name for column in _JOURNAL.columns))
_WAIT: Final = BulkInsert(tables.quarantine, ("journal_id", "received_at", "reason", "stream_offset", "state"))
_KNOWN: Final = BulkSelect(
    _JOURNAL,
    ("message_key", "body_digest", "id", "key_id", "sealed_acknowledgment"),
    "message_key",
    only=f"answer = '{POSITIVE}'",
)


class Entry(Masked, Struct, frozen=True):
    """One message (or one piece of a stream that is none) as the journal keeps it.

    ``message_key`` and ``body_digest`` are :class:`BlindIndex` values. ``answer`` is AA, AE, AR or empty,
    ``acknowledgment`` what was sent. ``changes`` names fields, ``findings`` are codes; neither ever holds content.
    ``quarantine`` is the reason why a person should look at it (empty: none), ``offset`` where in the connection's
    stream it began. ``record_id`` and ``key`` go together: without a record the organisation's key seals the
    message. The acknowledgment is always sealed under the organisation's: it repeats what a sender wrote into MSH,
    whatever that was. ``replay_of`` is the entry whose message this is, when staff had it applied again.
    """

    id: int
    received_at: datetime
    listener: str
    sender: str
    organisation: str
    control_id: str
    event: str
    message_key: int
    body_digest: bytes
    outcome: str
    reason: str
    changes: tuple[str, ...]
    findings: tuple[str, ...]
    record_id: int | None
    key: SealingKey | None
    raw: bytes
    answer: str
    acknowledgment: bytes
    quarantine: str = ""
    offset: int = 0
    replay_of: int | None = None


class Known(Struct, frozen=True):
    """An entry, answered positively, that may be the earlier copy of a message just received."""

    journal_id: int
    body_digest: bytes
    acknowledgment: bytes


class Journal:
    """Writes and reads the journal, in the caller's transaction."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def known(self, connection: Connection, message_keys: Collection[int]) -> dict[int, list[Known]]:
        """Earlier entries with these message keys that were answered positively: only those can be repeated.

        One whose answer does not open is left out: it cannot be sent again. The unique index still keeps its message
        from being stored, and so from being applied, a second time. Raises KeyFault.
        """
        found: dict[int, list[Known]] = {}
        for key, digest, journal_id, key_id, sealed in _KNOWN.run(connection, message_keys):
            try:
                acknowledgment = self._open_answer(key_id, bytes(sealed), journal_id)
            except SealBroken:
                continue
            found.setdefault(key, []).append(Known(journal_id, bytes(digest), acknowledgment))
        return found

    def write(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Store entries, sealed; those with a reason for it wait in quarantine from now on."""
        _WRITE.run(connection, [self._row(entry) for entry in entries])
        waiting = [
            (entry.id, to_micros(entry.received_at), entry.quarantine, entry.offset, WAITING)
            for entry in entries
            if entry.quarantine
        ]
        _WAIT.run(connection, waiting)

    def count_repeats(self, connection: Connection, journal_ids: Sequence[int], now: datetime) -> None:
        """Count that messages of these entries came again, once for each time that an id is named."""
        for journal_id in sorted(set(journal_ids)):
            times = journal_ids.count(journal_id)
            statement = update(_JOURNAL).where(_JOURNAL.c.id == journal_id)
            connection.execute(statement.values(repeats=_JOURNAL.c.repeats + times, last_repeat_at=to_micros(now)))

    def _open_answer(self, key_id: str, sealed: bytes, journal_id: int) -> bytes:
        key = self._ring.sealing_key(key_id).derived(_ANSWER, journal_id)
        return key.open(sealed, _ANSWER, journal_id)

    def raw(self, connection: Connection, journal_id: int, record_key: SealingKey | None = None) -> bytes:
        """The message as it was received. ``record_key`` opens those that belong to a record.

        Raises LookupError for an unknown id, SealBroken or KeyFault when it does not open.
        """
        columns = (_JOURNAL.c.sealed, _JOURNAL.c.key_id, _JOURNAL.c.record_id)
        row = connection.execute(select(*columns).where(_JOURNAL.c.id == journal_id)).one_or_none()
        if row is None:
            raise LookupError(journal_id)
        of_nobody = row.record_id is None
        key = self._ring.sealing_key(row.key_id).derived("journal", journal_id) if of_nobody else record_key
        if key is None:
            raise LookupError(journal_id)
        return key.open(row.sealed, "journal", journal_id)

    def _row(self, entry: Entry) -> tuple[object, ...]:
        outer = self._ring.organisation_key(entry.organisation)
        key = entry.key or outer.derived("journal", entry.id)
        return (
            entry.id,
            to_micros(entry.received_at),
            entry.listener,
            entry.sender,
            entry.organisation,
            entry.control_id,
            entry.event,
            entry.message_key,
            entry.body_digest,
            entry.outcome,
            entry.reason,
            " ".join(entry.changes),
            " ".join(entry.findings),
            entry.record_id,
            outer.key_id,
            key.seal(entry.raw, "journal", entry.id),
            entry.answer,
            outer.derived(_ANSWER, entry.id).seal(entry.acknowledgment, _ANSWER, entry.id),
            0,
            None,
            entry.replay_of,
        )

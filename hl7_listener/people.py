"""The people whom a batch speaks of: as they are stored, and as its messages change them, one after the other.

Look-ups come first, for all messages of a batch together; then each message sees what those before it made; then
everything that differs is stored, and whoever wants to hear of changes hears of them, in the same transaction.

Two people are locked in the order of their ids, also where one was merged into the other: else two daemons could wait
for each other in a ring.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Final, TypeAlias

from msgspec.structs import replace
from sqlalchemy import Connection

from patient_records.lineage import onward_of
from patient_records.model import Demographics, Identifier, PatientRecord, Standing
from patient_records.ports import RecordChange, RecordChanges
from patient_records.repository import OpenRecord, Records
from patient_records.sealing import SealingKey
from patient_records.unit_of_work import POSTGRESQL

TOLD_AT_ONCE: Final = 1_000
"""Changed records that are told of at a time: more than a usual batch has, and fewer than a statement takes values."""

Past: TypeAlias = tuple[bytes | None, int | None, OpenRecord | None]
"""What a change took the place of: whom an identifier found (None: nobody), or a person as it was (None: not made)."""


class People:
    """Made for one transaction."""

    def __init__(self, records: Records, connection: Connection, now: datetime) -> None:
        self._records = records
        self._connection = connection
        self._now = now
        self._found: dict[bytes, int] = {}
        self._original: dict[int, OpenRecord | None] = {}
        self._open: dict[int, OpenRecord] = {}
        self._past: list[Past] | None = None  # None: nobody wants to come back to anything

    def look_up(self, blinds: Collection[bytes]) -> None:
        """Find and open all people whom these identifiers find, and those whom they were merged into."""
        records, connection = self._records, self._connection
        self._found = records.find(connection, blinds)
        wanted = set(self._found.values())
        if connection.dialect.name == POSTGRESQL:
            wanted.update(onward_of(connection, wanted).values())  # so that one statement locks them all, in order
        while wanted:
            opened = records.load(connection, wanted, lock=True)
            self._open.update(opened)
            survivors = {o.record.standing.merged_into for o in opened.values()} - {None}
            wanted = {survivor for survivor in survivors if survivor is not None} - self._open.keys()
        self._original = dict(self._open)

    # ---- who is who --------------------------------------------------------------------------------------------------

    def blind(self, identifier: Identifier) -> bytes:
        """Index an identifier."""
        return self._records.blind_index.identifier(identifier)

    def direct(self, blind: bytes) -> int | None:
        """Give the record that has this identifier, merged or deleted as it may be."""
        return self._found.get(blind)

    def survivor(self, record_id: int) -> int:
        """Follow merges to who goes on."""
        while (survivor := self._open[record_id].record.standing.merged_into) is not None:
            record_id = survivor
        return record_id

    def stands(self, record_id: int) -> bool:
        """Whether a record is neither merged nor deleted."""
        standing = self._open[record_id].record.standing
        return standing.merged_into is None and standing.deleted_at is None

    def deleted(self, blind: bytes) -> bool:
        """Whether an identifier finds a person who was deleted, so that somebody new may have it."""
        direct = self._found.get(blind)
        return direct is not None and not self.stands(self.survivor(direct))

    def who(self, blinds: Iterable[bytes]) -> tuple[set[int], set[int]]:
        """Whom these identifiers mean, merges followed: those who live on, and those who were deleted."""
        ends = {self.survivor(self._found[blind]) for blind in blinds if blind in self._found}
        living = {end for end in ends if self.stands(end)}
        return living, ends - living

    def record(self, record_id: int) -> PatientRecord:
        """Give a person as of now."""
        return self._open[record_id].record

    def around(self, record_ids: Iterable[int]) -> dict[int, PatientRecord]:
        """Give these people and all whom they were merged into."""
        found: dict[int, PatientRecord] = {}
        for start in record_ids:
            record_id: int | None = start
            while record_id is not None and record_id not in found:
                found[record_id] = self._open[record_id].record
                record_id = found[record_id].standing.merged_into
        return found

    def key(self, record_id: int) -> SealingKey:
        """Give the record key."""
        return self._open[record_id].key

    # ---- changing them -----------------------------------------------------------------------------------------------

    def make(self, organisation: str, demographics: Demographics) -> int:
        """Make a new person; gives the record's id."""
        opened = self._records.make(organisation, demographics, self._now)
        if self._past is not None:
            self._past.append((None, opened.record.id, None))
        self._original[opened.record.id] = None
        self._open[opened.record.id] = opened
        return opened.record.id

    def put(self, record_id: int, demographics: Demographics, standing: Standing | None = None) -> None:
        """Change a person."""
        opened = self._open[record_id]
        if self._past is not None:
            self._past.append((None, record_id, opened))
        self._open[record_id] = opened.changed(demographics, standing or opened.record.standing)

    def take(self, blinds: Iterable[bytes]) -> None:
        """Take identifiers from the deleted people who have them: from now on they find nobody, until somebody does."""
        for blind in blinds:
            holder = self._found.pop(blind)
            if self._past is not None:
                self._past.append((blind, holder, None))
            person = self._open[holder].record.demographics
            kept = [tuple(i for i in some if self.blind(i) != blind) for some in (person.identifiers, person.aliases)]
            self.put(holder, replace(person, identifiers=kept[0], aliases=kept[1]))

    def finds(self, blinds: Iterable[bytes], record_id: int) -> None:
        """Let these identifiers find that person from now on, for the messages that follow."""
        for blind in blinds:
            if self._past is not None:
                self._past.append((blind, self._found.get(blind), None))
            self._found[blind] = record_id

    def mark(self) -> int:
        """Remember how everybody is now, to come back to it. It costs what is changed since, however many there are."""
        if self._past is None:
            self._past = []
        return len(self._past)

    def back(self, mark: int) -> None:
        """Come back to what was remembered: nothing since then has happened."""
        past = self._past
        while past is not None and len(past) > mark:
            blind, record_id, opened = past.pop()
            if blind is not None and record_id is not None:
                self._found[blind] = record_id
            elif blind is not None:
                self._found.pop(blind, None)
            elif record_id is not None and opened is not None:
                self._open[record_id] = opened
            elif record_id is not None:
                del self._open[record_id], self._original[record_id]

    def save(self, changes: RecordChanges, alive: Callable[[], None]) -> None:
        """Store everybody who differs, and tell who wants to hear of it; ``alive`` after each step of that."""
        touched = [
            (self._original[record_id], opened)
            for record_id, opened in self._open.items()
            if opened is not self._original[record_id] and _differs(self._original[record_id], opened)
        ]
        if touched:
            saved = self._records.save(self._connection, touched, self._now)
            told = [
                RecordChange(before.record if before else None, after.record, after.key)
                for (before, _), after in zip(touched, saved, strict=True)
            ]
            alive()
            for start in range(0, len(told), TOLD_AT_ONCE):
                changes.records_changed(self._connection, told[start : start + TOLD_AT_ONCE], self._now)
                alive()


def _differs(before: OpenRecord | None, after: OpenRecord) -> bool:
    return before is None or before.record != after.record

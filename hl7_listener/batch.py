"""One transaction's worth of arrivals: what each comes to, decided in order, stored together.

The order of work is look-ups for all, then decisions one by one, then writes for all; so a batch of a hundred costs
about as many round trips as a batch of one. Decisions see each other: the second message of a person finds what the
first one made, a repeat finds its original, although neither is in the database yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location, acknowledge, due
from hl7_listener.arrival import Arrival, Ignored, Settled, Unanswered
from hl7_listener.framing import encode
from patient_records.ids import IdSource
from patient_records.journal import Entry, Journal, Known
from patient_records.model import Demographics
from patient_records.ports import RecordChange, RecordChanges
from patient_records.reconcile import Outcome, reconcile
from patient_records.repository import OpenRecord, Records
from patient_records.update import PatientUpdate

VERIFIED: Final = "01"
"""NHS number status: number present and verified (NHS data dictionary, NHS NUMBER STATUS INDICATOR CODE)."""


class Stores(Struct, frozen=True):
    """What a batch reads and writes through; ``changes`` hears of every record changed, in the transaction."""

    records: Records
    journal: Journal
    ids: IdSource
    changes: RecordChanges


class Decision(Struct, frozen=True):
    """What one arrival comes to, before it has an answer: the record it ended in, if any."""

    outcome: Outcome
    code: AckCode | None
    reason: str = ""
    record_id: int | None = None
    changes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    waits: bool = False


class Batch:
    """Settles arrivals in one transaction; made for one use."""

    def __init__(self, stores: Stores, connection: Connection, now: datetime) -> None:
        self._stores = stores
        self._connection = connection
        self._now = now
        self._found: dict[bytes, int] = {}
        self._original: dict[int, OpenRecord | None] = {}
        self._open: dict[int, OpenRecord] = {}
        self._known: dict[int, list[Known]] = {}
        self._repeated: list[int] = []

    def settle(self, arrivals: Sequence[Arrival]) -> list[Settled]:
        """Decide and store all arrivals, in their order; nothing is durable before the caller's commit."""
        index = self._stores.records.blind_index
        keys = [index.message_key(_speaker(a), a.header.control_id, a.raw) for a in arrivals]
        digests = [index.body(arrival.raw) for arrival in arrivals]
        blinds = [self._blinds(arrival) for arrival in arrivals]
        self._look_up(keys, blinds)
        settled: list[Settled] = []
        entries: list[Entry] = []
        for arrival, key, digest, own in zip(arrivals, keys, digests, blinds, strict=True):
            repeat = self._repeat(arrival, key, digest) if arrival.replay_of is None else None
            if repeat is None:
                done, entry = self._settle(arrival, key, digest, own)
                entries.append(entry)
            else:
                done = repeat
            settled.append(done)
        self._store(entries)
        return settled

    def _blinds(self, arrival: Arrival) -> list[bytes]:
        if not isinstance(arrival.meaning, PatientUpdate):
            return []
        return [self._stores.records.blind_index.identifier(i) for i in arrival.meaning.identifiers]

    def _look_up(self, keys: Sequence[int], blinds: Sequence[Sequence[bytes]]) -> None:
        records, connection = self._stores.records, self._connection
        self._known = self._stores.journal.known(connection, set(keys))
        self._found = records.find(connection, {blind for own in blinds for blind in own})
        wanted = set(self._found.values())
        while wanted:
            opened = records.load(connection, wanted, lock=True)
            self._open.update(opened)
            survivors = {o.record.standing.merged_into for o in opened.values()} - {None}
            wanted = {survivor for survivor in survivors if survivor is not None} - self._open.keys()
        self._original = dict(self._open)

    def _repeat(self, arrival: Arrival, key: int, digest: bytes) -> Settled | None:
        """The earlier answer, when this message was answered positively before (SPEC 3.5, duplicates)."""
        for known in self._known.get(key, ()):
            if known.body_digest == digest:
                self._repeated.append(known.journal_id)
                return Settled(arrival, known.journal_id, Outcome.DUPLICATE, "", "AA", known.acknowledgment)
        return None

    def _settle(self, arrival: Arrival, key: int, digest: bytes, blinds: Sequence[bytes]) -> tuple[Settled, Entry]:
        decision = self._decide(arrival, blinds)
        findings, replayed = decision.findings, arrival.replay_of is not None
        if self._known.get(key) and decision.code is AckCode.AA and not replayed:
            findings += ("control_id_reused:MSH-10",)
        if arrival.charset_guessed:
            findings += ("charset_guessed:MSH-18",)
        journal_id = self._stores.ids.row_id()
        answer = b"" if replayed else self._answer(arrival, decision, journal_id)
        opened = self._open[decision.record_id] if decision.record_id is not None else None
        code = "" if replayed else decision.code or ""
        entry = Entry(
            id=journal_id,
            received_at=arrival.received_at,
            listener=arrival.listener.name,
            sender=arrival.sender,
            organisation=arrival.listener.organisation,
            control_id=arrival.control_id,
            event=arrival.event,
            message_key=key,
            body_digest=digest,
            outcome=decision.outcome,
            reason=decision.reason,
            changes=decision.changes,
            findings=findings,
            record_id=decision.record_id,
            key=opened.key if opened else None,
            raw=arrival.raw,
            answer=code,
            acknowledgment=answer,
            quarantine=decision.reason if decision.waits and not replayed else "",
            offset=arrival.offset,
            replay_of=arrival.replay_of,
        )
        if code == AckCode.AA:
            self._known.setdefault(key, []).append(Known(journal_id, digest, answer))
        done = Settled(
            arrival,
            journal_id,
            decision.outcome,
            decision.reason,
            code,
            answer,
            decision.record_id,
            decision.changes,
            findings,
        )
        return done, entry

    def _decide(self, arrival: Arrival, blinds: Sequence[bytes]) -> Decision:
        meaning = arrival.meaning
        if isinstance(meaning, PatientUpdate):
            return self._apply(arrival, meaning, blinds)
        if isinstance(meaning, Ignored):
            return Decision(Outcome.IGNORED, AckCode.AA, meaning.reason)
        if isinstance(meaning, Unanswered):
            outcome = Outcome.REJECTED if meaning.waits else Outcome.IGNORED
            return Decision(outcome, None, meaning.reason, waits=meaning.waits)
        return Decision(Outcome.REJECTED, meaning.code, meaning.reason, faults=meaning.faults, waits=True)

    def _apply(self, arrival: Arrival, update: PatientUpdate, blinds: Sequence[bytes]) -> Decision:
        if arrival.listener.verify_status and update.number_status != VERIFIED:
            return self._held(arrival, "NHS number status is not 01", update)
        ids = {self._survivor(self._found[blind]) for blind in blinds if blind in self._found}
        if len(ids) > 1:
            return self._held(arrival, "ambiguous identifiers", update)
        opened = self._open[ids.pop()] if ids else None
        result = reconcile(opened.record if opened else None, update)
        findings = update.findings + result.findings
        if result.demographics is None:
            fault = Fault(FaultCode.REQUIRED_FIELD_MISSING, _location(result.missing))
            reason = f"required field missing: {result.missing}"
            return Decision(result.outcome, AckCode.AE, reason, findings=findings, faults=(fault,), waits=True)
        if opened is None:
            opened = self._stores.records.make(update.organisation, result.demographics, self._now)
            self._original[opened.record.id] = None
        else:
            opened = opened.changed(result.demographics, opened.record.standing)
        record_id = opened.record.id
        self._open[record_id] = opened
        self._found.update(_held_by(result.demographics, update, blinds, record_id))
        return Decision(result.outcome, AckCode.AA, record_id=record_id, changes=result.changes, findings=findings)

    def _survivor(self, record_id: int) -> int:
        while (survivor := self._open[record_id].record.standing.merged_into) is not None:
            record_id = survivor
        return record_id

    def _held(self, arrival: Arrival, reason: str, update: PatientUpdate) -> Decision:
        code = AckCode(arrival.listener.held)
        return Decision(Outcome.HELD, code, reason, findings=update.findings, waits=True)

    def _answer(self, arrival: Arrival, decision: Decision, journal_id: int) -> bytes:
        if decision.code is None:
            return b""
        header, listener = arrival.header, arrival.listener
        codes = due(header, decision.code, always=listener.always_acknowledge, both=listener.both_acknowledgments)
        text = f"{decision.outcome}: {decision.reason}" if decision.reason else str(decision.outcome)
        suffixes = ("", "-2")
        return b"".join(
            encode(
                acknowledge(
                    header,
                    code,
                    control_id=f"{journal_id}{suffix}",
                    now=self._now,
                    text=text,
                    faults=decision.faults,
                )
            )
            for code, suffix in zip(codes, suffixes, strict=False)
        )

    def _store(self, entries: Sequence[Entry]) -> None:
        stores, connection, now = self._stores, self._connection, self._now
        touched = [
            (self._original[record_id], opened)
            for record_id, opened in self._open.items()
            if opened is not self._original[record_id] and _differs(self._original[record_id], opened)
        ]
        if touched:
            saved = stores.records.save(connection, touched, now)
            changes = [
                RecordChange(before.record if before else None, after.record, after.key)
                for (before, _), after in zip(touched, saved, strict=True)
            ]
            stores.changes.records_changed(connection, changes, now)
        stores.journal.write(connection, entries)
        if self._repeated:
            stores.journal.count_repeats(connection, self._repeated, now)


def _speaker(arrival: Arrival) -> str:
    """Whose messages are compared for repeats: two organisations may be sent the same one, and each needs it."""
    return f"{arrival.listener.organisation} {arrival.sender}"


def _held_by(
    demographics: Demographics, update: PatientUpdate, blinds: Sequence[bytes], record_id: int
) -> Iterator[tuple[bytes, int]]:
    """Which of the update's identifiers find the record now: another organisation's message does not bring all."""
    held = {*demographics.identifiers, *demographics.aliases}
    return ((blind, record_id) for i, blind in zip(update.identifiers, blinds, strict=True) if i in held)


def _differs(before: OpenRecord | None, after: OpenRecord) -> bool:
    return before is None or before.record != after.record


def _location(field: str) -> Location:
    """``PID-5`` as an ERR location."""
    segment, _, number = field.partition("-")
    return Location(segment, 1, int(number))

"""One transaction's worth of arrivals: what each comes to, decided in order, stored together.

The order of work is look-ups for all, then decisions one by one, then writes for all; so a batch of a hundred costs
about as many round trips as a batch of one. Decisions see each other: the second message of a person finds what the
first one made, a repeat finds its original, although neither is in the database yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from hl7_listener.acknowledgment import AckCode, acknowledge, due
from hl7_listener.arrival import Arrival, Ignored, Refused, Settled, Unanswered
from hl7_listener.batch_frame import INCOMPLETE_BATCH
from hl7_listener.decision import Decision, ignored
from hl7_listener.framing import encode
from hl7_listener.people import People
from hl7_listener.person_acts import PersonActs
from hl7_listener.person_event import PersonEvent, identifiers_of
from patient_records import effects
from patient_records.effects import Effect
from patient_records.ids import IdSource
from patient_records.journal import Entry, Journal, Known
from patient_records.ports import RecordChanges
from patient_records.reconcile import Outcome
from patient_records.repository import Records
from patient_records.update import PatientUpdate

JOURNALLED_REPLAYS: Final = frozenset({Outcome.APPLIED, Outcome.STALE})
"""Outcomes of a replayed message that are journalled: where it comes to nothing once more, its first entry says so."""


class Stores(Struct, frozen=True):
    """What a batch reads and writes through; ``changes`` hears of every record changed, in the transaction."""

    records: Records
    journal: Journal
    ids: IdSource
    changes: RecordChanges


def nobody_listens() -> None:
    """Hear a sign of life that nobody waits for."""


class Batch:
    """Settles arrivals in one transaction; made for one use.

    ``alive`` is called with each step that is done (a message decided, a group of people merged, a table written), so
    that who waits can tell ten thousand merges from one statement that never ends.
    """

    def __init__(
        self, stores: Stores, connection: Connection, now: datetime, alive: Callable[[], None] = nobody_listens
    ) -> None:
        self._stores = stores
        self._connection = connection
        self._now = now
        self._people = People(stores.records, connection, now)
        self._alive = alive
        self._acts = PersonActs(self._people, now, alive)
        self._effects: list[Effect] = []
        self._known: dict[int, list[Known]] = {}
        self._repeated: list[int] = []

    def settle(self, arrivals: Sequence[Arrival]) -> list[Settled]:
        """Decide and store all arrivals, in their order; nothing is durable before the caller's commit."""
        index = self._stores.records.blind_index
        keys = [index.message_key(_speaker(a), a.header.control_id, a.raw) for a in arrivals]
        digests = [index.body(arrival.raw) for arrival in arrivals]
        blinds = [self._blinds(arrival) for arrival in arrivals]
        self._look_up(keys, blinds)
        self._alive()
        settled: list[Settled] = []
        entries: list[Entry] = []
        for arrival, key, digest, own in zip(arrivals, keys, digests, blinds, strict=True):
            repeat = self._repeat(arrival, key, digest) if arrival.replay_of is None else None
            if repeat is None:
                done, entry = self._settle(arrival, key, digest, own)
                if arrival.replay_of is None or done.outcome in JOURNALLED_REPLAYS:
                    entries.append(entry)
            else:
                done = repeat
            settled.append(done)
            self._alive()
        self._store(entries)
        return settled

    def _blinds(self, arrival: Arrival) -> list[bytes]:
        meaning, index = arrival.meaning, self._stores.records.blind_index
        if isinstance(meaning, PatientUpdate):
            return [index.identifier(identifier) for identifier in meaning.identifiers]
        if isinstance(meaning, PersonEvent):
            return [index.identifier(identifier) for identifier in identifiers_of(meaning)]
        return []

    def _look_up(self, keys: Sequence[int], blinds: Sequence[Sequence[bytes]]) -> None:
        self._known = self._stores.journal.known(self._connection, set(keys))
        self._people.look_up({blind for own in blinds for blind in own})

    def _repeat(self, arrival: Arrival, key: int, digest: bytes) -> Settled | None:
        """The earlier answer, when this message was answered positively before (SPEC 3.5, duplicates)."""
        for known in self._known.get(key, ()):
            if known.body_digest == digest:
                self._repeated.append(known.journal_id)
                return Settled(arrival, known.journal_id, Outcome.DUPLICATE, "", "AA", known.acknowledgment)
        return None

    def _settle(self, arrival: Arrival, key: int, digest: bytes, blinds: Sequence[bytes]) -> tuple[Settled, Entry]:
        decision = _as_told(arrival, self._decide(arrival, blinds))
        findings, replayed = decision.findings, arrival.replay_of is not None
        if self._known.get(key) and decision.code is AckCode.AA and not replayed:
            findings += ("control_id_reused:MSH-10",)
        if arrival.charset_guessed:
            findings += ("charset_guessed:MSH-18",)
        if arrival.batch is not None and arrival.batch.frame.fault_place:
            findings += (f"{INCOMPLETE_BATCH}:{arrival.batch.frame.fault_place}",)
        journal_id = self._stores.ids.row_id()
        answer = b"" if replayed else self._answer(arrival, decision, journal_id)
        code = "" if replayed else decision.code or ""
        self._effects += [Effect(journal_id, done.record_id, done.act, done.other) for done in decision.done]
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
            key=None if decision.record_id is None else self._people.key(decision.record_id),
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
            return self._acts.apply(arrival.listener, meaning, blinds)
        if isinstance(meaning, PersonEvent):
            return self._acts.event(arrival.listener, meaning)
        if isinstance(meaning, Ignored):
            return ignored(meaning.reason)
        if isinstance(meaning, Unanswered):
            outcome = Outcome.REJECTED if meaning.waits else Outcome.IGNORED
            return Decision(outcome, None, meaning.reason, waits=meaning.waits)
        return Decision(Outcome.REJECTED, meaning.code, meaning.reason, faults=meaning.faults, waits=True)

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
        self._people.save(stores.changes, self._alive)
        stores.journal.write(connection, entries)
        self._alive()
        if self._repeated:
            stores.journal.count_repeats(connection, self._repeated, now)
        if self._effects:
            effects.write(connection, self._effects)


def _speaker(arrival: Arrival) -> str:
    """Whose messages are compared for repeats: two organisations may be sent the same one, and each needs it."""
    return f"{arrival.listener.organisation} {arrival.sender}"


def _as_told(arrival: Arrival, decision: Decision) -> Decision:
    """Answer a refusal with the code that makes this sender do the right thing (its profile's ``answers``)."""
    listener, meaning = arrival.listener, arrival.meaning
    if decision.outcome is not Outcome.REJECTED or decision.code is None:
        return decision
    code = AckCode(listener.content if decision.code is AckCode.AE else listener.permanent)
    if code is AckCode.AA and isinstance(meaning, Refused) and meaning.never_positive:
        return decision
    if code is decision.code:
        return decision
    return replace(decision, code=code, faults=() if code is AckCode.AA else decision.faults)

"""What an attempt came to, written down behind its fence (SPEC 5.3).

Outcomes are finished many at a time, in one transaction. An answer counts if its attempt is still the entry's latest:
also when the lease had lapsed meanwhile and the entry was called ``unknown``, for then the truth arrived late, but
arrived. An answer to an attempt that was overtaken changes nothing, with one exception: *accepted* is true of the
entry, whichever attempt it answers, and counts as long as the entry is not final. Those whose channel failed for
certain go on to the next one in the same transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites import outbox
from invites.channels.channel import Accepted, NotSent, Outcome, Refused, Unknown
from invites.gate import Gate
from invites.invitation import FINAL, EntryEvent, EntryState, after
from invites.onward import Onward, Undelivered
from invites.outbox import Answered, Move, OutboxEntry, Tries
from invites.retry import RetryPolicy, next_try
from patient_records.errors import StorageConflict, StorageUnavailable
from patient_records.unit_of_work import Database

_PATIENCE: Final = (0.0, 0.1, 0.5, 2.0, 5.0)
"""Seconds before each new try of a commit: a conflict is over at once, a restarted PostgreSQL in some seconds."""

_ENDING: Final = frozenset({EntryEvent.REFUSE, EntryEvent.GIVE_UP})


class NotBegun(Struct, frozen=True):
    """The call was never made. No attempt that counts: the entry is what it was before, and due at once."""


class Answer(Struct, frozen=True):
    """What came of one attempt of one entry, which is given as it was when it was claimed."""

    entry: OutboxEntry
    number: int
    outcome: Outcome | NotBegun

    @property
    def of_search(self) -> bool:
        """Whether the provider was only asked about the latest attempt, and no new one was made."""
        return self.number == self.entry.attempt


class _Step(Struct, frozen=True):
    """What an answer means for its entry: the event, what the attempt's row says, and when it is looked at again."""

    answer: Answer
    event: EntryEvent
    outcome: str
    code: str | None = None
    due_at: datetime | None = None
    provider_reference: str | None = None

    def move(self, state: EntryState) -> Move:
        """The entry's move from the state that it is in."""
        return Move(self.answer.entry.id, state, self.event, self.code, self.due_at, self.provider_reference)

    @property
    def answered(self) -> Answered:
        """The end of the attempt's row."""
        return Answered(self.answer.entry.id, self.answer.number, self.outcome, self.code)


class Finish:
    """Finishes attempts. One object serves any number of threads."""

    def __init__(
        self,
        database: Database,
        onward: Onward,
        retry: RetryPolicy,
        chance: Callable[[], float],
        *,
        pause: Callable[[float], None] = time.sleep,
        gate: Gate | None = None,
    ) -> None:
        """``chance`` gives numbers of [0, 1) for the back-off; ``pause`` waits so many seconds."""
        self._database = database
        self._pause = pause
        self._gate = gate
        self._onward = onward
        self._retry = retry
        self._chance = chance

    def __call__(self, answers: Sequence[Answer], unavailable: Callable[[], None] = lambda: None) -> None:
        """Write down these answers and all that follows.

        What a provider said is not to be had twice, so a database that cannot take it now is asked again for a while;
        then StorageUnavailable or StorageConflict is raised, and it is the caller's to keep. ``unavailable`` hears at
        once of the first time that the storage is away.
        """
        for wait in _PATIENCE:
            try:
                return self._once(answers)
            except StorageConflict:
                self._pause(wait)
            except StorageUnavailable:
                unavailable()
                self._pause(wait)
        return self._once(answers)

    def _once(self, answers: Sequence[Answer]) -> None:
        with self._database.begin() as connection:
            self.within(connection, answers)

    def within(self, connection: Connection, answers: Sequence[Answer]) -> None:
        """Write it down in the caller's transaction, which holds no outbox entry yet: records are locked first."""
        now = self._database.now(connection)
        steps = self._steps(connection, answers, now)
        people = self._onward.lock(connection, [step.answer.entry for step in steps if step.event in _ENDING])
        standings = outbox.standings(connection, {answer.entry.id for answer in answers})
        known = [(step, *standings[step.answer.entry.id]) for step in steps if step.answer.entry.id in standings]
        counted = [(step, state) for step, state, latest in known if _counts(step, state, latest)]
        moved = [(step, state) for step, state in counted if not _nothing_learned(step, state)]
        outbox.move(connection, [step.move(state) for step, state in moved], now)
        outbox.wait_until(
            connection, {s.answer.entry.id: s.due_at for s, state in counted if _nothing_learned(s, state)}
        )
        outbox.answer(connection, [step.answered for step, _, latest in known if _is_news(step, latest)], now)
        self._onward.go_on(connection, _undelivered(moved), people, now)
        self._keep_count(connection, [step for step, _ in moved], now)

    def _keep_count(self, connection: Connection, moved: Sequence[_Step], now: datetime) -> None:
        """Give the day's places back of what certainly was not sent, and count results for the automatic pause."""
        if self._gate is None:
            return
        unsent = [step for step in moved if _gives_back(step.answer)]
        self._gate.give_back(connection, [(step.answer.entry, step.answer.number) for step in unsent])
        judged = [step for step in moved if isinstance(step.answer.outcome, Accepted | Refused)]
        invitations = [step for step in judged if step.answer.entry.invitation_id is not None]
        told = [(s.answer.entry, isinstance(s.answer.outcome, Accepted)) for s in invitations]
        self._gate.note(connection, [(entry.organisation, entry.channel, good) for entry, good in told], now)

    def _steps(self, connection: Connection, answers: Sequence[Answer], now: datetime) -> list[_Step]:
        waiting = [a.entry.id for a in answers if isinstance(a.outcome, NotSent | Unknown)]
        tries = outbox.tries(connection, waiting)
        return [self._step(a, tries.get(a.entry.id, Tries(now, 1)), now) for a in answers]

    def _step(self, answer: Answer, tries: Tries, now: datetime) -> _Step:
        outcome = answer.outcome
        match outcome:
            case Accepted():
                name = outcome.provider_reference
                return _Step(answer, EntryEvent.ACCEPT, "accepted", provider_reference=name)
            case Refused():
                return _Step(answer, EntryEvent.REFUSE, "refused", outcome.code)
            case NotSent():
                due = self._next_try(tries, now, outcome)
                return _Step(answer, EntryEvent.NOT_SENT if due else EntryEvent.GIVE_UP, "not_sent", outcome.code, due)
            case Unknown():
                return _Step(answer, EntryEvent.LOSE, "unknown", outcome.code, self._next_try(tries, now))
            case NotBegun():
                before = EntryEvent.LOSE if answer.entry.state is EntryState.UNKNOWN else EntryEvent.NOT_SENT
                return _Step(answer, before, outbox.NOT_BEGUN, outbox.NOT_BEGUN, now)

    def _next_try(self, tries: Tries, now: datetime, outcome: NotSent | None = None) -> datetime | None:
        return next_try(
            self._retry,
            attempt=tries.count,
            first_attempt_at=tries.since,
            now=now,
            chance=self._chance,
            not_before=outcome.retry_after if outcome else None,
        )


def _counts(step: _Step, state: EntryState, latest: int) -> bool:
    """Whether this answer moves its entry: the latest attempt is still open, or the provider has it after all."""
    if step.event is EntryEvent.ACCEPT:
        return state not in FINAL
    return step.answer.number == latest and state in (EntryState.SENDING, EntryState.UNKNOWN)


def _is_news(step: _Step, latest: int) -> bool:
    """Whether the attempt's own row is to say so, whatever became of the entry meanwhile."""
    if isinstance(step.answer.outcome, NotBegun) and step.answer.of_search:
        return False
    return step.event is EntryEvent.ACCEPT or step.answer.number == latest


def _nothing_learned(step: _Step, state: EntryState) -> bool:
    """Whether it was unknown, and is."""
    return state is EntryState.UNKNOWN and step.event is EntryEvent.LOSE


def _gives_back(answer: Answer) -> bool:
    """Whether its place of the day's cap is free again: a repeat of what may have been sent had taken none."""
    if isinstance(answer.outcome, NotBegun):
        return answer.entry.state is not EntryState.UNKNOWN
    return isinstance(answer.outcome, NotSent | Refused)


def _undelivered(moved: Sequence[tuple[_Step, EntryState]]) -> list[Undelivered]:
    """Those that are over and certainly reached nobody: refused, or given up after a certain *not sent*."""
    ended = [(step, after(state, step.event)) for step, state in moved if step.event in _ENDING]
    return [Undelivered(step.answer.entry, state) for step, state in ended if state in FINAL]

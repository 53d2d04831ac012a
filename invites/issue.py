"""Finding those who may be invited, and inviting them (SPEC 5.1, 5.3).

A run walks the eligible in the order of their ids, a hundred to a transaction, and asks a reader who they are: a look
that finds nobody, which is nearly every one, takes no writer's time. In each transaction the records are
locked first, then believed no longer: what the eligibility table says is how they were assessed when last they changed,
so each is unsealed and assessed again. Several daemons may run at the same time: on PostgreSQL each passes over the
records that another holds; on SQLite they take turns; and the business key refuses what slips through all of that.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from msgspec import Struct, field
from sqlalchemy import Connection

from invites import canary, repository
from invites.allowance import Allowance
from invites.bad_contacts import without_bad
from invites.eligibility import Assessment, Eligible, Ineligible, Reason, assess
from invites.enqueue import Draft, Enqueue
from invites.gate import Gate
from invites.invitation import FIRST
from invites.legible import legible
from invites.options import InviteOptions
from invites.reassess import reassess
from patient_records.errors import StorageConflict
from patient_records.repository import OpenRecord, Records
from patient_records.unit_of_work import Database

_IN_VAIN: Final = 2000  # people looked at in a row who found no place: the others are the next run's
_TRIES: Final = 3  # a batch that conflicts is done again with fresh eyes; one that always does waits for the next run


class IssueReport(Struct):
    """What one run did: invitations by channel, people found ineligible after all, batches given up to conflicts.

    ``waiting`` counts those who were looked at, may be invited, and found no place: caps, hours, a pause, the canary.
    """

    issued: Counter[str] = field(default_factory=Counter)
    ineligible: Counter[str] = field(default_factory=Counter)
    conflicts: int = 0
    waiting: int = 0

    @property
    def total(self) -> int:
        """How many people were invited."""
        return self.issued.total()


class _Batch(Struct, frozen=True):
    """One transaction's worth: the last id that was looked at, and and what was found of each person.

    ``waiting`` are eligible and found no place; ``used_up``: nobody would find one any more.
    """

    last: int
    found: dict[int, Assessment]
    waiting: int = 0
    used_up: bool = False


class Issue:
    """Invites people. One object serves any number of runs."""

    def __init__(
        self, database: Database, records: Records, enqueue: Enqueue, options: InviteOptions, gate: Gate
    ) -> None:
        self._gate = gate
        self._goes_on: dict[str, int] = {}
        self._database = database
        self._records = records
        self._enqueue = enqueue
        self._options = options

    def run(
        self,
        *,
        limit: int | None = None,
        stopping: Callable[[], bool] = lambda: False,
        progress: Callable[[int], None] = lambda _issued: None,
        pause: Callable[[], None] = lambda: None,
        heed_hours: bool = True,
    ) -> IssueReport:
        """Invite everybody who may be invited, or the first ``limit``; ends early, between batches, when stopping.

        ``progress`` hears after each batch how many were invited so far; ``pause`` is called after each, too, for those
        who run beside a daemon in a process of their own. ``heed_hours`` is False where a person issues by hand:
        sending keeps its hours all the same. Raises StorageUnavailable; what was committed before that
        stays.
        """
        report = IssueReport()
        for organisation in self._options.organisations:
            for state in self._passing:
                self._give_another_chance(state, organisation, stopping)
            if not self._any_place(organisation, heed_hours=heed_hours):
                continue
            after, in_vain = self._goes_on.pop(organisation, 0), 0
            while not stopping():
                size = min(self._options.issue_batch, (limit - report.total) if limit is not None else 1 << 30)
                batch = (
                    self._batch_again(organisation, after, size, report, heed_hours=heed_hours) if size > 0 else None
                )
                if batch is None:
                    break
                after = batch.last
                _count(report, batch)
                progress(report.total)
                pause()
                in_vain = 0 if batch.found else in_vain + batch.waiting
                if batch.used_up or in_vain >= _IN_VAIN:
                    self._goes_on[organisation] = after if in_vain >= _IN_VAIN else 0
                    break
        return report

    def _any_place(self, organisation: str, *, heed_hours: bool) -> bool:
        """Whether anybody of the organisation might be invited now; lets go who waits for a canary that ended well."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            passes = self._gate.canary_may_pass(connection, organisation, now)
            used_up = self._gate.allowance(connection, organisation, now, heed_hours=heed_hours).used_up
        if passes:
            with self._database.begin() as connection:
                canary.let_go(connection, organisation, canary.BY_RESULT, self._database.now(connection))
        return not used_up

    @property
    def _passing(self) -> tuple[str, ...]:
        """States that pass by the calendar: a channel rests for a day, a cohort of an age is entered on a birthday."""
        aged = any(cohort.minimum_age is not None for cohort in self._options.policy.cohorts)
        return (Reason.UNDELIVERABLE.value, *((Reason.OUTSIDE_COHORT.value,) if aged else ()))

    def _give_another_chance(self, state: str, organisation: str, stopping: Callable[[], bool]) -> None:
        """Look, once a day, at those in a state that may have passed."""
        last = 0
        while not stopping():
            with self._database.read() as connection:
                today = self._options.today(self._database.now(connection))
                size = self._options.issue_batch
                page = repository.state_page(connection, state, organisation, today, after=last, size=size)
            if not page:
                break
            last = page[-1]
            with contextlib.suppress(StorageConflict), self._database.begin() as connection:
                opened = legible(partial(self._records.load, lock=True), connection, page)
                people = [person.record for person in opened.values()]
                reassess(connection, people, self._options, self._database.now(connection))

    def _batch_again(
        self, organisation: str, after: int, size: int, report: IssueReport, *, heed_hours: bool
    ) -> _Batch | None:
        """Do a batch, and again while it conflicts; a batch that always does is passed over until the next run."""
        picked: list[int] = []
        for _ in range(_TRIES):
            try:
                with self._database.read() as connection:
                    picked = repository.eligible_page(connection, organisation, after, size)
                if not picked:
                    return None
                with self._database.begin() as connection:
                    return self._invite(connection, organisation, picked, heed_hours=heed_hours)
            except StorageConflict:
                continue
        report.conflicts += 1
        return _Batch(picked[-1], {}) if picked else None

    def _invite(self, connection: Connection, organisation: str, picked: list[int], *, heed_hours: bool) -> _Batch:
        """Lock, look again, and invite, all in the caller's transaction."""
        opened = legible(self._records.load_free, connection, picked)
        if not opened:
            return _Batch(picked[-1], {})
        now = self._database.now(connection)
        today = self._options.today(now)
        people = [opened[id_] for id_ in sorted(opened)]
        invited = repository.invited_among(connection, opened)  # under the lock: another daemon may have been quicker
        failed = repository.failed_channels(connection, opened, now)
        good = without_bad(connection, [person.record for person in people], self._options)
        found = {
            id_: assess(
                opened[id_].record,
                self._options.policy,
                today,
                invited=id_ in invited,
                failed=failed.get(id_, ()),
                good=good.get(id_),
            )
            for id_ in sorted(opened)
        }
        allowance = self._allowance(connection, organisation, now, heed_hours=heed_hours)
        drafts = self._drafts(connection, people, found, allowance)
        drafted = {draft.opened.record.id for draft in drafts}
        waiting = [id_ for id_, said in found.items() if isinstance(said, Eligible) and id_ not in drafted]
        settled = {id_: said for id_, said in found.items() if id_ not in set(waiting)}
        self._enqueue(connection, drafts, now)
        self._gate.canary_out(connection, organisation, len(drafts), now)
        self._write_down(connection, [person for person in people if person.record.id in settled], settled, now)
        return _Batch(picked[-1], settled, len(waiting), allowance.used_up)

    def _allowance(self, connection: Connection, organisation: str, now: datetime, *, heed_hours: bool) -> Allowance:
        allowance = self._gate.allowance(connection, organisation, now, heed_hours=heed_hours)
        allowance.limit(self._gate.canary_left(connection, organisation, now))
        return allowance

    def _drafts(
        self, connection: Connection, people: list[OpenRecord], found: dict[int, Assessment], allowance: Allowance
    ) -> list[Draft]:
        """Draft the invitation of each eligible person who finds a place, by their first channel, numbered on."""
        numbers = repository.highest_numbers(connection, found, FIRST)
        drafts = []
        for person in people:
            said = found[person.record.id]
            if isinstance(said, Eligible) and allowance.take(said.channels[0]):
                number = numbers.get(person.record.id, 0) + 1
                drafts.append(Draft(person, said.channels[0], FIRST, number))
        return drafts

    def _write_down(
        self, connection: Connection, people: list[OpenRecord], found: dict[int, Assessment], now: datetime
    ) -> None:
        """Say of the invited that they are, and of the others why not."""
        today = self._options.today(now)
        invited = Ineligible((Reason.INVITED,))
        rows = []
        for person in people:
            said = found[person.record.id]
            becomes = invited if isinstance(said, Eligible) else said
            rows.append(repository.eligibility_row(person.record.id, person.record.organisation, becomes, today))
        repository.put_eligibility(connection, rows)


def _count(report: IssueReport, batch: _Batch) -> None:
    report.waiting += batch.waiting
    for said in batch.found.values():
        if isinstance(said, Eligible):
            report.issued[said.channels[0]] += 1
        else:
            report.ineligible[said.state] += 1

"""Writing again to those who have not registered (SPEC 5.4): a reminder is an invitation of another purpose.

The first reminder is number 1, and so on, in the order of the configuration. The key (person, "reminder", number) is
unique for ever, twice over: as a row of ``reminders``, which says what was decided, and as the invitation's business
key. So no restart, no second daemon and no changed configuration writes one twice.

Who is due is found by a walk over accepted invitations in the order of their acceptance, one walk for each organisation
and number, which notes how far it has come; two daemons hold its row in turn. Each person is then locked, opened and
assessed like anybody who is to be invited: registration, death, an opt-out or a bad address end it. A reminder goes by
its own channel; a person who cannot be reached by that is reminded by the first that can. Whom none reaches is skipped,
and the reason kept. A reminder that fails is not tried by another channel: the next reminder is the next chance.

Late reminders are no reminders: what was accepted longer ago than ``after`` and :data:`~invites.rhythm.LATE` is passed
over, so that a reminder that is configured today does not go to everybody who was ever invited.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy import Connection, select

from invites import reminder_walk
from invites.enqueue import Draft, Enqueue
from invites.gate import Gate
from invites.invitation import REMINDER
from invites.issue import IssueReport
from invites.legible import legible
from invites.options import InviteOptions
from invites.reminder_walk import Page, Turn
from invites.tables import reminders
from patient_records.bulk import BulkInsert
from patient_records.errors import StorageConflict
from patient_records.instants import from_micros, to_micros
from patient_records.repository import OpenRecord, Records
from patient_records.unit_of_work import Database

_TRIES: Final = 3

_DECIDE: Final = BulkInsert(reminders, ("record_id", "number", "decided_at", "outcome"))


class Reminders:
    """Writes reminders. One object serves any number of runs."""

    def __init__(
        self, database: Database, records: Records, enqueue: Enqueue, options: InviteOptions, gate: Gate
    ) -> None:
        self._database = database
        self._records = records
        self._enqueue = enqueue
        self._options = options
        self._gate = gate

    def run(self, stopping: Callable[[], bool] = lambda: False) -> IssueReport:
        """Write every reminder that is due and finds a place; ends early when stopping. Raises StorageUnavailable."""
        report = IssueReport()
        for organisation in self._options.organisations:
            for turn in reminder_walk.turns(self._options, organisation):
                while not stopping() and self._step_again(turn, report):
                    pass
        return report

    def _step_again(self, turn: Turn, report: IssueReport) -> bool:
        """Take one step of a walk, and again while it conflicts; gives whether there is another."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            if self._gate.allowance(connection, turn.organisation, now).used_up:
                return False
            if _next_page(connection, turn, now) is None:
                return False
        for _ in range(_TRIES):
            try:
                with self._database.begin() as connection:
                    return self._step(connection, turn, report)
            except StorageConflict:
                continue
        report.conflicts += 1
        return False

    def _step(self, connection: Connection, turn: Turn, report: IssueReport) -> bool:
        """Decide about one page of people, in the caller's transaction: records are locked before the walk's row."""
        now = self._database.now(connection)
        guess = _next_page(connection, turn, now)
        if guess is None:
            return False
        people = legible(partial(self._records.load, lock=True), connection, guess.records)
        reminder_walk.hold(connection, turn, now)
        page = _next_page(connection, turn, now)
        if page is None or page.through != guess.through:
            return page is not None  # another daemon was quicker: look again
        outcomes, drafts, waits = self._decide(connection, turn, page.records, people, now)
        decided_through = page.before(waits)
        if waits is not None:
            report.waiting += len(page.records) - page.records.index(waits)
        if decided_through is None:
            return False
        self._enqueue(connection, drafts, now)
        _DECIDE.run(connection, [(id_, turn.number, to_micros(now), said) for id_, said in sorted(outcomes.items())])
        reminder_walk.note(connection, turn, decided_through)
        for draft in drafts:
            report.issued[draft.channel] += 1
        report.ineligible.update(
            said for id_, said in outcomes.items() if id_ not in {d.opened.record.id for d in drafts}
        )
        return waits is None and not page.last

    def _decide(
        self, connection: Connection, turn: Turn, ids: list[int], people: dict[int, OpenRecord], now: datetime
    ) -> tuple[dict[int, str], list[Draft], int | None]:
        """What becomes of each of these people's reminder, up to the first who finds no place now, given as well."""
        allowance = self._gate.allowance(connection, turn.organisation, now)
        judged = reminder_walk.judged(connection, self._options, turn, ids, people, on=self._options.today(now))
        outcomes: dict[int, str] = {}
        drafts: list[Draft] = []
        for id_, said in judged.items():
            if said.sends:
                if not allowance.take(said.outcome):
                    return outcomes, drafts, id_
                drafts.append(Draft(people[id_], said.outcome, REMINDER, turn.number))
            outcomes[id_] = said.outcome
        return outcomes, drafts, None


def _next_page(connection: Connection, turn: Turn, now: datetime) -> Page | None:
    """Whoever is due next."""
    after = reminder_walk.through(connection, turn, now)
    return reminder_walk.page(connection, turn.organisation, after, now - turn.reminder.after)


def decided_of(connection: Connection, record_id: int) -> list[tuple[int, datetime, str]]:
    """What was decided about a person's reminders: number, when, and the channel or the reason, in order."""
    rows = select(reminders).where(reminders.c.record_id == record_id).order_by(reminders.c.number)
    return [(row.number, from_micros(row.decided_at), row.outcome) for row in connection.execute(rows)]

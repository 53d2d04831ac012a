"""Writing again to those who have not registered (SPEC 5.4): a reminder is an invitation of another purpose.

The first reminder is number 1, and so on, in the order of the configuration. The key (person, "reminder", number) is
unique for ever, twice over: as a row of ``reminders``, which says what was decided, and as the invitation's business
key. So no restart, no second daemon and no changed configuration writes one twice.

Who is due is found by a walk over accepted invitations in the order of their acceptance, one walk for each organisation
and number, which notes how far it has come; two daemons hold its row in turn. Each person is then locked, opened and
assessed like anybody who is to be invited: registration, death, an opt-out or a bad address end it. A reminder goes by
its own channel; a person who cannot be reached by that is reminded by the first that can. Whom none reaches is skipped,
and the reason kept. A reminder that fails is not tried by another channel: the next reminder is the next chance.

Late reminders are no reminders: what was accepted longer ago than ``after`` and :data:`LATE` is passed over, so that a
reminder that is configured today does not go to everybody who was ever invited.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from msgspec import Struct
from sqlalchemy import BigInteger, Connection, bindparam, select, tuple_

from invites.allowance import Allowance
from invites.bad_contacts import without_bad
from invites.eligibility import Eligible, assess
from invites.enqueue import Draft, Enqueue
from invites.gate import Gate
from invites.invitation import FIRST, REMINDER, EntryState
from invites.issue import IssueReport
from invites.legible import legible
from invites.options import InviteOptions
from invites.reached import invited_by
from invites.rhythm import Reminder
from invites.tables import invitations, outbox, reminder_walks, reminders
from patient_records.bulk import BulkInsert
from patient_records.errors import StorageConflict
from patient_records.instants import from_micros, to_micros
from patient_records.repository import OpenRecord, Records
from patient_records.unit_of_work import POSTGRESQL, Database

LATE: Final = timedelta(days=14)
"""How long after its time a reminder may still go out: long enough for a pause, too short to surprise."""

RECORD_DOES_NOT_OPEN: Final = "record_does_not_open"
NOT_REACHED: Final = "not_reached"
"""What was accepted is known to have failed since, and nothing else is on its way."""

_CHUNK: Final = 100
_TRIES: Final = 3

_WALK: Final = BulkInsert(
    reminder_walks,
    ("organisation", "number", "through_at", "through_entry"),
    key=("organisation", "number"),
    update=("through_at", "through_entry"),
)
_BEGIN: Final = BulkInsert(
    reminder_walks, ("organisation", "number", "through_at", "through_entry"), key=("organisation", "number")
)
_DECIDE: Final = BulkInsert(reminders, ("record_id", "number", "decided_at", "outcome"))

_ACCEPTED: Final = (
    select(outbox.c.final_at, outbox.c.id, outbox.c.record_id, outbox.c.organisation, outbox.c.state, outbox.c.purpose)
    .where(
        outbox.c.final_at.is_not(None),
        tuple_(outbox.c.final_at, outbox.c.id)
        > tuple_(bindparam("through_at", type_=BigInteger), bindparam("through_entry", type_=BigInteger)),
        outbox.c.final_at <= bindparam("until", type_=BigInteger),
    )
    .order_by(outbox.c.final_at, outbox.c.id)
    .limit(bindparam("size"))
)


class _Page(Struct, frozen=True):
    """Where a walk stands after a page, whom it found and where each stood, and whether that was all."""

    through: tuple[int, int]
    found: list[tuple[tuple[int, int], int]]
    last: bool

    @property
    def records(self) -> list[int]:
        """Whom it found, in order."""
        return [record_id for _, record_id in self.found]

    def before(self, record_id: int | None) -> tuple[int, int] | None:
        """How far the page was decided about when that person found no place; None: not at all."""
        if record_id is None:
            return self.through
        at = self.records.index(record_id)
        return self.found[at - 1][0] if at else None


class _Due(Struct, frozen=True):
    """Which reminder of which organisation is due, as of now."""

    organisation: str
    number: int
    reminder: Reminder
    now: datetime


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
            for number, reminder in enumerate(self._options.rhythm.reminders, 1):
                while not stopping() and self._step_again(organisation, number, reminder, report):
                    pass
        return report

    def _step_again(self, organisation: str, number: int, reminder: Reminder, report: IssueReport) -> bool:
        """Take one step of a walk, and again while it conflicts; gives whether there is another."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            if self._gate.allowance(connection, organisation, now).used_up:
                return False
            through = _through(connection, organisation, number, now - reminder.after - LATE)
            if _page(connection, organisation, through, now - reminder.after) is None:
                return False
        for _ in range(_TRIES):
            try:
                with self._database.begin() as connection:
                    return self._step(connection, organisation, number, reminder, report)
            except StorageConflict:
                continue
        report.conflicts += 1
        return False

    def _step(
        self, connection: Connection, organisation: str, number: int, reminder: Reminder, report: IssueReport
    ) -> bool:
        """Decide about one page of people, in the caller's transaction: records are locked before the walk's row."""
        now = self._database.now(connection)
        oldest = now - reminder.after - LATE
        guess = _page(
            connection, organisation, _through(connection, organisation, number, oldest), now - reminder.after
        )
        if guess is None:
            return False
        people = legible(partial(self._records.load, lock=True), connection, guess.records)
        _hold(connection, organisation, number, oldest)
        through = _through(connection, organisation, number, oldest)
        page = _page(connection, organisation, through, now - reminder.after)
        if page is None or page.through != guess.through:
            return page is not None  # another daemon was quicker: look again
        allowance = self._gate.allowance(connection, organisation, now)
        due = _Due(organisation, number, reminder, now)
        outcomes, drafts, waits = self._decide(connection, due, page.records, people, allowance)
        decided_through = page.before(waits)
        if waits is not None:
            report.waiting += len(page.records) - page.records.index(waits)
        if decided_through is None:
            return False
        self._enqueue(connection, drafts, now)
        _DECIDE.run(connection, [(id_, number, to_micros(now), said) for id_, said in sorted(outcomes.items())])
        _WALK.run(connection, [(organisation, number, *decided_through)])
        for draft in drafts:
            report.issued[draft.channel] += 1
        report.ineligible.update(
            said for id_, said in outcomes.items() if id_ not in {d.opened.record.id for d in drafts}
        )
        return waits is None and not page.last

    def _decide(
        self,
        connection: Connection,
        due: _Due,
        ids: list[int],
        people: dict[int, OpenRecord],
        allowance: Allowance,
    ) -> tuple[dict[int, str], list[Draft], int | None]:
        """What becomes of each of these people's reminder, up to the first who finds no place now, given as well."""
        decided = _decided(connection, ids, due.number)
        reached = invited_by(connection, ids)
        good = without_bad(connection, [person.record for person in people.values()], self._options)
        today = self._options.today(due.now)
        outcomes: dict[int, str] = {}
        drafts: list[Draft] = []
        for id_ in dict.fromkeys(ids):
            person = people.get(id_)
            if id_ in decided:
                continue
            if person is None:
                outcomes[id_] = RECORD_DOES_NOT_OPEN
                continue
            said = assess(person.record, self._options.policy, today, invited=False, good=good.get(id_))
            if not isinstance(said, Eligible):
                outcomes[id_] = said.state
            elif not reached.get(id_):
                outcomes[id_] = NOT_REACHED
            else:
                channel = due.reminder.channel if due.reminder.channel in said.channels else said.channels[0]
                if not allowance.take(channel):
                    return outcomes, drafts, id_
                drafts.append(Draft(person, channel, REMINDER, due.number))
                outcomes[id_] = channel
        return outcomes, drafts, None


def _through(connection: Connection, organisation: str, number: int, oldest: datetime) -> tuple[int, int]:
    """How far a walk has come, no earlier than what is too late by now."""
    mine = (reminder_walks.c.organisation == organisation, reminder_walks.c.number == number)
    row = connection.execute(select(reminder_walks).where(*mine)).one_or_none()
    floor = (to_micros(oldest), 0)
    return floor if row is None else max(floor, (row.through_at, row.through_entry))


def _hold(connection: Connection, organisation: str, number: int, oldest: datetime) -> None:
    """Make the walk's row and hold it until the transaction ends."""
    _BEGIN.run(connection, [(organisation, number, to_micros(oldest), 0)])
    if connection.dialect.name == POSTGRESQL:
        mine = (reminder_walks.c.organisation == organisation, reminder_walks.c.number == number)
        connection.execute(select(reminder_walks.c.number).where(*mine).with_for_update())


def _page(connection: Connection, organisation: str, through: tuple[int, int], until: datetime) -> _Page | None:
    """The next entries that became final, and whose first invitations among them were accepted; None: no more."""
    found = {"through_at": through[0], "through_entry": through[1], "until": to_micros(until), "size": _CHUNK}
    rows = connection.execute(_ACCEPTED, found).all()
    if not rows:
        return None
    mine = [
        ((row.final_at, row.id), row.record_id)
        for row in rows
        if row.organisation == organisation and row.state == EntryState.ACCEPTED.value and row.purpose == FIRST
    ]
    return _Page((rows[-1].final_at, rows[-1].id), mine, len(rows) < _CHUNK)


def _decided(connection: Connection, ids: list[int], number: int) -> set[int]:
    """Those whose reminder of that number was decided about before."""
    if not ids:
        return set()
    before = select(reminders.c.record_id).where(reminders.c.record_id.in_(ids), reminders.c.number == number)
    issued = select(invitations.c.record_id).where(
        invitations.c.record_id.in_(ids), invitations.c.purpose == REMINDER, invitations.c.number == number
    )
    return {*connection.scalars(before), *connection.scalars(issued)}


def decided_of(connection: Connection, record_id: int) -> list[tuple[int, datetime, str]]:
    """What was decided about a person's reminders: number, when, and the channel or the reason, in order."""
    rows = select(reminders).where(reminders.c.record_id == record_id).order_by(reminders.c.number)
    return [(row.number, from_micros(row.decided_at), row.outcome) for row in connection.execute(rows)]

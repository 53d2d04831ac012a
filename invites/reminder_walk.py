"""Who is due for a reminder, and what is to become of each: the walk over accepted invitations (SPEC 5.4).

The walk goes in the order of acceptance and notes how far it has come. :mod:`invites.reminders` takes its steps;
:mod:`invites.outlook` looks ahead along the same way, by the same judgement, and moves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, Select, bindparam, literal, select, tuple_

from invites.bad_contacts import without_bad
from invites.eligibility import Eligible, assess
from invites.invitation import FIRST, REMINDER, EntryState
from invites.options import InviteOptions
from invites.reached import invited_by
from invites.rhythm import LATE, Reminder
from invites.tables import invitations, outbox, reminder_walks, reminders
from patient_records.bulk import BulkInsert
from patient_records.instants import to_micros
from patient_records.model import Demographics
from patient_records.repository import OpenRecord
from patient_records.unit_of_work import POSTGRESQL

RECORD_DOES_NOT_OPEN: Final = "record_does_not_open"
NOT_REACHED: Final = "not_reached"
"""What was accepted is known to have failed since, and nothing else is on its way."""

_CHUNK: Final = 100

_WALK: Final = BulkInsert(
    reminder_walks,
    ("organisation", "number", "through_at", "through_entry"),
    key=("organisation", "number"),
    update=("through_at", "through_entry"),
)
_BEGIN: Final = BulkInsert(
    reminder_walks, ("organisation", "number", "through_at", "through_entry"), key=("organisation", "number")
)

Position = tuple[int, int]
"""When an entry became final, and its id: where a walk stands."""

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


class Turn(Struct, frozen=True):
    """A reminder of an organisation, by its number."""

    organisation: str
    number: int
    reminder: Reminder

    def oldest(self, now: datetime) -> datetime:
        """When the oldest invitation was accepted that it may still follow."""
        return now - self.reminder.after - LATE


class Verdict(Struct, frozen=True):
    """What is to become of a person's reminder: the channel that it goes by, or why it does not."""

    outcome: str
    sends: bool


class Page(Struct, frozen=True):
    """Where a walk stands after a page, whom it found and where each stood, and whether that was all."""

    through: Position
    found: list[tuple[Position, int]]
    last: bool

    @property
    def records(self) -> list[int]:
        """Whom it found, in order."""
        return [record_id for _, record_id in self.found]

    def before(self, record_id: int | None) -> Position | None:
        """How far the page was decided about when that person found no place; None: not at all."""
        if record_id is None:
            return self.through
        at = self.records.index(record_id)
        return self.found[at - 1][0] if at else None


def turns(options: InviteOptions, organisation: str) -> list[Turn]:
    """The reminders of an organisation, in their order."""
    return [Turn(organisation, number, reminder) for number, reminder in enumerate(options.rhythm.reminders, 1)]


def through(connection: Connection, turn: Turn, now: datetime) -> Position:
    """How far a walk has come, no earlier than what is too late by now."""
    row = connection.execute(select(reminder_walks).where(*_row_of(turn))).one_or_none()
    floor = (to_micros(turn.oldest(now)), 0)
    return floor if row is None else max(floor, (row.through_at, row.through_entry))


def hold(connection: Connection, turn: Turn, now: datetime) -> None:
    """Make the walk's row and hold it until the transaction ends."""
    _BEGIN.run(connection, [(turn.organisation, turn.number, to_micros(turn.oldest(now)), 0)])
    if connection.dialect.name == POSTGRESQL:
        connection.execute(select(reminder_walks.c.number).where(*_row_of(turn)).with_for_update())


def note(connection: Connection, turn: Turn, position: Position) -> None:
    """Write down how far a walk has come."""
    _WALK.run(connection, [(turn.organisation, turn.number, *position)])


def _row_of(turn: Turn) -> tuple[ColumnElement[bool], ...]:
    return reminder_walks.c.organisation == turn.organisation, reminder_walks.c.number == turn.number


def page(connection: Connection, organisation: str, after: Position, until: datetime) -> Page | None:
    """The next entries that became final, and whose first invitations among them were accepted; None: no more."""
    found = {"through_at": after[0], "through_entry": after[1], "until": to_micros(until), "size": _CHUNK}
    rows = connection.execute(_ACCEPTED, found).all()
    if not rows:
        return None
    mine = [
        ((row.final_at, row.id), row.record_id)
        for row in rows
        if row.organisation == organisation and row.state == EntryState.ACCEPTED.value and row.purpose == FIRST
    ]
    return Page((rows[-1].final_at, rows[-1].id), mine, len(rows) < _CHUNK)


def accepted_of(ids: Iterable[int], after: Position) -> Select[tuple[int, int, int]]:
    """Select where a walk that stands there comes upon each of these people, in its order."""
    further = tuple_(outbox.c.final_at, outbox.c.id) > tuple_(*(literal(each, BigInteger) for each in after))
    mine = (outbox.c.record_id.in_(list(ids)), outbox.c.state == EntryState.ACCEPTED.value, outbox.c.purpose == FIRST)
    columns = (outbox.c.record_id, outbox.c.final_at, outbox.c.id)
    return select(*columns).where(*mine, further).order_by(outbox.c.final_at, outbox.c.id)


def decided(connection: Connection, ids: Iterable[int], number: int) -> set[int]:
    """Those whose reminder of that number was decided about before."""
    among = list(ids)
    if not among:
        return set()
    before = select(reminders.c.record_id).where(reminders.c.record_id.in_(among), reminders.c.number == number)
    issued = select(invitations.c.record_id).where(
        invitations.c.record_id.in_(among), invitations.c.purpose == REMINDER, invitations.c.number == number
    )
    return {*connection.scalars(before), *connection.scalars(issued)}


def judged(
    connection: Connection,
    options: InviteOptions,
    turn: Turn,
    ids: Collection[int],
    people: Mapping[int, OpenRecord],
    *,
    on: date,
) -> dict[int, Verdict]:
    """Judge in the given order whom that reminder reaches on that day; who was decided about before is left out."""
    before = decided(connection, ids, turn.number)
    reached = invited_by(connection, ids)
    good = without_bad(connection, [person.record for person in people.values()], options)
    return {
        id_: _verdict(options, turn, people.get(id_), good.get(id_), on, reached=bool(reached.get(id_)))
        for id_ in dict.fromkeys(ids)
        if id_ not in before
    }


def _verdict(
    options: InviteOptions, turn: Turn, person: OpenRecord | None, good: Demographics | None, on: date, *, reached: bool
) -> Verdict:
    if person is None:
        return Verdict(RECORD_DOES_NOT_OPEN, sends=False)
    said = assess(person.record, options.policy, on, invited=False, good=good)
    if not isinstance(said, Eligible):
        return Verdict(said.state, sends=False)
    return Verdict(turn.reminder.by(said.channels), sends=True) if reached else Verdict(NOT_REACHED, sends=False)

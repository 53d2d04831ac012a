"""What the next days have to do, counted in the database without touching it, for the dry run.

Only codes, counts and times come out of here. It unseals each person who may be invited, as issuing would, and each who
is to be reminded, as reminding would, for the channel depends on what only the sealed record knows; everybody else is
counted by their stored reason. Nobody stays in memory longer than a page. :mod:`invites.rehearsal` goes through
the days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct, field
from sqlalchemy import Connection, Row, select, text

from invites import reminder_walk, repository
from invites.bad_contacts import without_bad
from invites.channels.channel import SMS
from invites.eligibility import ELIGIBLE, Eligible, assess
from invites.forecast import Ahead, Backlog, Due, InOutbox, Invitee, Plan
from invites.gate import Gate
from invites.invitation import FIRST
from invites.legible import legible
from invites.options import InviteOptions
from invites.overview import people_by_state
from invites.rehearsal import end_of, spread
from invites.reminder_walk import Page, Position, Turn
from invites.tables import QUEUED, outbox
from invites.wording.languages import language_of
from patient_records.instants import from_micros
from patient_records.model import Demographics, PatientRecord
from patient_records.repository import OpenRecord, Records
from patient_records.unit_of_work import Database

_PAGE: Final = 500
_MINUTE: Final = timedelta(minutes=1)

Progress: TypeAlias = Callable[[int], None]
"""Hears how many people more were looked at."""


class Forecast(Struct):
    """What an issue run would do now: invitations by channel, and everybody else by the reason why not.

    ``by_organisation`` has the same by the kind of person; ``languages`` counts text messages by organisation and
    language.
    """

    by_channel: Counter[str] = field(default_factory=Counter)
    by_organisation: dict[str, Counter[Invitee]] = field(default_factory=dict)
    languages: Counter[tuple[str, str]] = field(default_factory=Counter)
    why_not: Counter[str] = field(default_factory=Counter)


class Outlook:
    """Looks ahead. ``progress`` hears of every page of people."""

    def __init__(
        self, database: Database, records: Records, options: InviteOptions, progress: Progress = lambda _count: None
    ) -> None:
        self._database = database
        self._records = records
        self._options = options
        self._progress = progress

    def forecast(self) -> Forecast:
        """Say what an issue run would do now, and do nothing. Raises StorageUnavailable."""
        found = Forecast()
        for organisation in self._options.organisations:
            with self._database.read() as connection:
                states = people_by_state(connection, organisation)
            found.why_not.update({state: count for state, count in states.items() if state != ELIGIBLE})
            mine = found.by_organisation.setdefault(organisation, Counter())
            for said in self._eligible(organisation):
                if isinstance(said, str):
                    found.why_not[said] += 1
                    continue
                found.by_channel[said.channel] += 1
                mine[said] += 1
                if said.channel == SMS:
                    found.languages[organisation, said.language] += 1
        return found

    def in_outbox(self, organisation: str) -> Counter[InOutbox]:
        """Count the invitations and reminders of an organisation that were issued and wait to be sent."""
        found: Counter[InOutbox] = Counter()
        last = 0
        while True:
            with self._database.read() as connection:
                now = self._database.now(connection)
                rows = _queued(connection, organisation, last)
                firsts = [row.record_id for row in rows if row.purpose == FIRST]
                people = self._people(connection, firsts if self._options.rhythm.reminders else [])
                follow = self._followed_by(connection, organisation, people, now)
            if not rows:
                return found
            last = rows[-1].id
            self._progress(len(rows))
            for row in rows:
                due = max(now.replace(second=0, microsecond=0), _minute(from_micros(row.due_at)))
                language, reminders = follow.get(row.record_id, ("", ()))
                first = row.purpose == FIRST
                found[InOutbox(due, Invitee(row.channel, language, reminders if first else ()), first)] += 1

    def plan(self, gate: Gate, organisation: str, backlog: Backlog, why_not: Counter[str]) -> Plan:
        """Go through the next days of an organisation with this and the reminders of what was accepted already.

        ``why_not`` counts those whose reminder will not be written. Raises StorageUnavailable.
        """
        with self._database.read() as connection:
            now = self._database.now(connection)
            standing = gate.standing(connection, organisation, now)
        local = now.astimezone(self._options.zone_of(organisation))
        until = end_of(local)
        turns = reminder_walk.turns(self._options, organisation)
        ahead = [Ahead(turn.reminder, self._dues(turn, until, why_not)) for turn in turns]
        backlog = msgspec.structs.replace(backlog, ahead=ahead)
        rhythm, handed_over = self._options.rhythm, self._options.entry_due
        return spread(organisation, backlog, rhythm, standing, local, handed_over=handed_over)

    def _dues(self, turn: Turn, until: datetime, why_not: Counter[str]) -> Iterator[Due]:
        last = until - turn.reminder.after - timedelta(microseconds=1)
        with self._database.read() as connection:
            begin = after = reminder_walk.through(connection, turn, self._database.now(connection))
        while True:
            with self._database.read() as connection:
                page = reminder_walk.page(connection, turn.organisation, after, last)
                dues = self._dues_of(connection, turn, page, begin, why_not) if page is not None else []
            yield from dues
            if page is None or page.last:
                return
            after = page.through
            self._progress(len(page.found))

    def _dues_of(
        self, connection: Connection, turn: Turn, page: Page, begin: Position, why_not: Counter[str]
    ) -> list[Due]:
        """Judge a page of those who were invited, each where the walk first meets them."""
        firsts = _first_met(connection, page.records, begin)
        met = {record_id: at for at, record_id in page.found if firsts.get(record_id) == at}
        people = legible(self._records.load, connection, met)
        on = self._options.today(max(self._database.now(connection), _due_at(turn, min(met.values(), default=begin))))
        dues = []
        for record_id, said in reminder_walk.judged(connection, self._options, turn, met, people, on=on).items():
            if said.sends:
                language = language_of(people[record_id].record.demographics.language)
                dues.append(Due(_minute(_due_at(turn, met[record_id])), said.outcome, language))
            else:
                why_not[said.outcome] += 1
        return dues

    def _eligible(self, organisation: str) -> Iterator[Invitee | str]:
        """Look at everybody who is down as eligible, a page to a snapshot: how they would be invited, or why not."""
        last = 0
        while True:
            with self._database.read() as connection:
                now = self._database.now(connection)
                ids = repository.eligible_page(connection, organisation, last, _PAGE)
                people = self._people(connection, ids)
                failed = repository.failed_channels(connection, ids, now)
                follow = self._followed_by(connection, organisation, people, now)
            if not ids:
                return
            last = ids[-1]
            self._progress(len(ids))
            today = self._options.today(now)
            for id_, (person, good) in people.items():
                said = assess(person, self._options.policy, today, invited=False, failed=failed.get(id_, ()), good=good)
                yield Invitee(said.channels[0], *follow[id_]) if isinstance(said, Eligible) else said.state

    def _people(self, connection: Connection, ids: Collection[int]) -> _People:
        """Open these records; with each, the person without bad contacts where there are any."""
        opened: dict[int, OpenRecord] = legible(self._records.load, connection, ids)
        good = without_bad(connection, [person.record for person in opened.values()], self._options)
        return {id_: (person.record, good.get(id_)) for id_, person in opened.items()}

    def _followed_by(
        self, connection: Connection, organisation: str, people: _People, now: datetime
    ) -> dict[int, tuple[str, tuple[str | None, ...]]]:
        """In which language each would be reminded once their invitation was accepted, and by which channels."""
        turns = reminder_walk.turns(self._options, organisation)
        over = [reminder_walk.decided(connection, people, turn.number) for turn in turns]
        follow = {}
        for id_, (person, good) in people.items():
            channels = _channels(person, good, self._options, self._options.today(now))
            by = [
                turn.reminder.by(channels) if channels and id_ not in done else None
                for turn, done in zip(turns, over, strict=True)
            ]
            follow[id_] = (language_of(person.demographics.language), tuple(by))
        return follow


_People: TypeAlias = Mapping[int, tuple[PatientRecord, Demographics | None]]


def _channels(person: PatientRecord, good: Demographics | None, options: InviteOptions, today: date) -> tuple[str, ...]:
    said = assess(person, options.policy, today, invited=False, good=good)
    return said.channels if isinstance(said, Eligible) else ()


def _queued(connection: Connection, organisation: str, after: int) -> Sequence[Row[tuple[int, int, str, str, int]]]:
    mine = (outbox.c.organisation == organisation, outbox.c.invitation_id.is_not(None), outbox.c.id > after)
    columns = (outbox.c.id, outbox.c.record_id, outbox.c.channel, outbox.c.purpose, outbox.c.due_at)
    statement = select(*columns).where(text(QUEUED), *mine).order_by(outbox.c.id).limit(_PAGE)
    return connection.execute(statement).all()


def _first_met(connection: Connection, ids: Iterable[int], begin: Position) -> dict[int, Position]:
    """Where a walk from there first meets each of these people."""
    rows = connection.execute(reminder_walk.accepted_of(ids, begin))
    met: dict[int, Position] = {}
    for row in rows:
        met.setdefault(row.record_id, (row.final_at, row.id))
    return met


def _due_at(turn: Turn, at: Position) -> datetime:
    return from_micros(at[0]) + turn.reminder.after


def _minute(moment: datetime) -> datetime:
    """The next full minute: the jobs look no oftener, and the forecast has fewer moments."""
    begun = moment.replace(second=0, microsecond=0)
    return begun if begun == moment else begun + _MINUTE

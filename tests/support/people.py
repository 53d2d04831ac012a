"""Invented people in a real database, and everything that invites them, for tests of invites."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import Connection, insert, select

from invites import tables
from invites.assembly import assemble
from invites.channels.channel import (
    SMS,
    Accepted,
    Channel,
    InvitationText,
    Organisation,
    Outcome,
    Provider,
    Refused,
    Request,
    Settlement,
    Unknown,
)
from invites.dispatch import Dispatch, awake_or_asleep
from invites.enqueue import Enqueue
from invites.finish import Finish
from invites.onward import Onward
from invites.options import InviteOptions, Lane
from invites.post import Post
from invites.recipient import reachable
from patient_records.ids import IdSource
from patient_records.instants import to_micros
from patient_records.keys import KeyRing
from patient_records.model import (
    EMAIL,
    MOBILE,
    Address,
    BirthDate,
    ContactPoint,
    Death,
    DeathReport,
    Demographics,
    Identifier,
    PatientRecord,
    PersonName,
    Standing,
)
from patient_records.ports import RecordChange
from patient_records.repository import OpenRecord, Records
from patient_records.tables import metadata
from patient_records.unit_of_work import Database

ORGANISATION = "RX1"
HOSPITAL = Organisation(ORGANISATION, "Example Hospital", "01632 960000")
SMS_ONLY = (ContactPoint(MOBILE, "+447700900123"),)
EMAIL_ONLY = (ContactPoint(EMAIL, "ada@example.org"),)
HOME = (Address(lines=("1 Long Lane",), city="Exampleton", postcode="EX1 1AA", country="GBR"),)


class ShiftedDatabase(Database):
    """A database whose clock a test can put forward; it still runs."""

    shift = timedelta(0)

    def now(self, connection: Connection) -> datetime:
        return super().now(connection) + self.shift


def person(number: int = 0, **given: object) -> Demographics:
    """An adult with a mobile number, an email address and a home."""
    plain = Demographics(
        identifiers=(Identifier("RX1", "MR", f"{number:08}"),),
        names=(PersonName(family="Lovelace", given="Ada"),),
        birth=BirthDate("19801210"),
        sex="F",
        addresses=HOME,
        home=SMS_ONLY + EMAIL_ONLY,
        sender="PAS|RX1",
    )
    return msgspec.structs.replace(plain, **given)


def record(demographics: Demographics | None = None, **standing: object) -> PatientRecord:
    """A record in no database."""
    return PatientRecord(1, "public", ORGANISATION, 1, demographics or person(), Standing(**standing))  # type: ignore[arg-type]


DEAD = Death((DeathReport("PAS|RX1", 0),))


class PlainChannel:
    """Renders anybody, as one line of text, to where the real channel of that kind would send it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.refusing: str | None = None
        self.before_rendering: Callable[[], object] = lambda: None
        self.texts: list[InvitationText] = []

    def render(self, text: InvitationText) -> Request | Refused:
        """Render, or refuse when told to."""
        self.before_rendering()
        self.texts.append(text)
        if self.refusing:
            return Refused(self.refusing)
        recipient = reachable(text.demographics, self.kind)
        to = recipient.to if recipient else "nobody"
        return Request(self.kind, text.reference, to, f"{text.code} {text.token}".encode())


class ScriptedProvider:
    """Answers as told: each of ``script`` in turn, then ``outcome`` for every call. Keeps what it was sent."""

    def __init__(self, settlement: Settlement = Settlement.NEITHER, name: str = "scripted") -> None:
        self.name = name
        self.settlement = settlement
        self.settle_after = timedelta(0)
        self.outcome: Outcome = Accepted("theirs")
        self.script: list[Outcome | Exception] = []
        self.found: Outcome = Unknown("not_told")
        self.sent: list[Request] = []
        self.searched: list[str] = []
        self.before_answering: Callable[[], object] = lambda: None

    def send(self, request: Request) -> Outcome:
        """Note the request and answer."""
        self.sent.append(request)
        self.before_answering()
        answer = self.script.pop(0) if self.script else self.outcome
        if isinstance(answer, Exception):
            raise answer
        return answer

    def search(self, reference: str) -> Outcome:
        """Note the question and answer."""
        self.searched.append(reference)
        return self.found


class House:
    """A database with people in it and all that invites them, wired as the daemon wires it."""

    def __init__(self, url: str, options: InviteOptions | None = None, ring: KeyRing | None = None) -> None:
        self.database = ShiftedDatabase(url)
        self.ring = ring or KeyRing([], {}).completed([ORGANISATION, "RX2"])
        options = options or InviteOptions(
            {ORGANISATION: HOSPITAL}, "https://join.example", zone=ZoneInfo("Europe/London")
        )
        self.options = msgspec.structs.replace(options, blind_index=self.ring.blind_index)
        self.ids = IdSource(lambda: time.time_ns() // 1_000_000, os.urandom)
        self.records = Records(self.ring, self.ids)
        self.invites = assemble(
            self.database,
            self.records,
            self.ring,
            self.ids,
            options=self.options,
            lanes=[],
            random_bytes=os.urandom,
            chance=random.Random(1).random,
        )
        self.issue, self.sweep = self.invites.issue, self.invites.sweep
        self.consequences, self.receipts = self.invites.consequences, self.invites.receipts
        self.post = Post(self.ids)
        self.gate = self.invites.gate
        self.reminders = self.invites.reminders
        self.enqueue = Enqueue(self.invites.mint, self.ids, self.options)
        self.onward = Onward(self.records, self.enqueue, self.options)
        self.finish = Finish(self.database, self.onward, self.options.retry, random.Random(1).random, gate=self.gate)
        self.lanes: list[Dispatch] = []
        metadata.create_all(self.database.engine)

    def close(self) -> None:
        """Close lanes and database."""
        for lane in self.lanes:
            lane.close()
        self.database.close()

    def lane(
        self, provider: Provider, channel: Channel | None = None, elapsed: Callable[[], float] = awake_or_asleep
    ) -> Dispatch:
        """Make the dispatcher of a lane, by default that of plain text messages."""
        lane = Dispatch(
            self.database,
            self.records,
            Lane(channel or PlainChannel(SMS), provider),
            self.options,
            onward=self.onward,
            finish=self.finish,
            ids=self.ids,
            elapsed=elapsed,
        )
        self.lanes.append(lane)
        return lane

    def later(self, by: timedelta) -> None:
        """Put the database's clock forward."""
        self.database.shift += by

    def set_clock(self, to: datetime) -> None:
        """Put the database's clock to that time, from which it goes on."""
        self.database.shift += to - datetime.fromtimestamp(self.micros() / 1_000_000, UTC)

    def arrive(self, people: Iterable[Demographics], organisation: str = ORGANISATION) -> list[int]:
        """Store new people as an ingest does; gives their record ids."""
        now = datetime.now(UTC) + self.database.shift
        made = [self.records.make(organisation, demographics, now) for demographics in people]
        return self._save([(None, opened) for opened in made], now)

    def change(self, record_id: int, *, standing: Standing | None = None, **demographics: object) -> None:
        """Change one person as a later message or staff would."""
        now = datetime.now(UTC) + self.database.shift
        with self.database.begin() as connection:
            before = self.records.load(connection, [record_id], lock=True)[record_id]
            new = msgspec.structs.replace(before.record.demographics, **demographics)
            after = before.changed(new, standing or before.record.standing)
            self._save_in(connection, [(before, after)], now)

    def _save(self, changes: list[tuple[OpenRecord | None, OpenRecord]], now: datetime) -> list[int]:
        with self.database.begin() as connection:
            return self._save_in(connection, changes, now)

    def _save_in(
        self, connection: Connection, changes: list[tuple[OpenRecord | None, OpenRecord]], now: datetime
    ) -> list[int]:
        saved = self.records.save(connection, changes, now)
        told = [
            RecordChange(before.record if before else None, after.record, after.key)
            for (before, _), after in zip(changes, saved, strict=True)
        ]
        self.consequences.records_changed(connection, told, now)
        return [after.record.id for after in saved]

    def rows(self, name: str, **where: object) -> list[dict[str, object]]:
        """Rows of one of the tables of invites, in the order of their keys."""
        table = tables.outbox.metadata.tables[name]
        statement = select(table).order_by(*table.primary_key.columns)
        for column, value in where.items():
            statement = statement.where(table.c[column] == value)
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def state(self, record_id: int) -> str:
        """What the eligibility table says of a person."""
        return str(self.rows("eligibility", record_id=record_id)[0]["state"])

    def put(self, name: str, **values: object) -> None:
        """Insert one row, as another process might have."""
        with self.database.begin() as connection:
            connection.execute(insert(getattr(tables, name)).values(**values))

    def micros(self) -> int:
        """The database's time, as the tables keep it."""
        with self.database.read() as connection:
            return to_micros(self.database.now(connection))

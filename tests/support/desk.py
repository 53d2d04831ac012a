"""A database, a listener's way into it, and the desk where somebody works on what was stored: no socket, no daemon."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from sqlalchemy import func, select

from hl7_listener.arrival import Settled
from hl7_listener.batch import Batch, Stores
from hl7_listener.framing import Frame
from hl7_listener.interpreter import Interpreter
from hl7_listener.options import ListenerOptions
from hl7_listener.replay import Replay
from hl7_listener.reprocessing import Reprocessed, Reprocessing
from hl7_listener.resubmission import Curator
from patient_records import tables
from patient_records.audit import Actor, AuditTrail
from patient_records.audit_actions import ActorKind
from patient_records.ids import IdSource
from patient_records.journal import Journal
from patient_records.keys import KeyRing
from patient_records.quarantine import Quarantine, Waiting
from patient_records.repository import Records
from patient_records.tables import metadata
from patient_records.unit_of_work import Database
from tests.support.hospital import Nobody, Silent

NO_GIVEN_NAME = (
    b"MSH|^~\\&|PAS|RX1|D|RX1|20260301120000||ADT^A28^ADT_A05|1|P|2.5\r"
    b"EVN|A28|20260301120000\rPID|1||9990000018^^^NHS^NH||Archer^||19700101|F\r"
)


A28 = NO_GIVEN_NAME.replace(b"Archer^", b"Archer^Una")


class Desk:
    """A database, a listener's way into it, and the person who works on what waits.

    ``beside`` is another one on the same database, whose keys it shares, as a command beside a daemon does.
    """

    def __init__(self, database_url: str, *, beside: Desk | None = None) -> None:
        ring: KeyRing = beside.ring if beside else KeyRing((), {}).completed(("RX1", "RX2"))
        self.ring: KeyRing = ring
        ids = IdSource(lambda: time.time_ns() // 1_000_000, os.urandom)
        self.database = Database(database_url)
        metadata.create_all(self.database.engine)
        self.records = Records(ring, ids)
        self.journal = Journal(ring)
        self.stores = Stores(self.records, self.journal, ids, Nobody())
        self.telemetry = Silent()
        self.reprocessing = Reprocessing(self.database, self.stores, self.telemetry, lambda: datetime.now(UTC))
        pas = ListenerOptions("pas", "", 0, "RX1", ZoneInfo("Europe/London"))
        self.listeners = {"pas": pas}
        self.trail = AuditTrail(ring, ids)
        self.curator = Curator(
            self.database,
            journal=self.journal,
            quarantine=Quarantine(ring),
            audit=self.trail,
            reprocessing=self.reprocessing,
            listeners=self.listeners,
            actor=Actor(ActorKind.OPERATOR, "ops"),
            clock=lambda: datetime.now(UTC),
        )
        self.replay = Replay(self.database, self.journal, self.records, self.reprocessing, self.listeners)

    def receive(self, raw: bytes, listener: str = "pas") -> Settled:
        """Take a message as a listener would."""
        message = Reprocessed(self.listeners[listener], raw, datetime.now(UTC))
        with self.database.begin() as connection:
            arrival = self.reprocessing.arrival(message)
            return Batch(self.stores, connection, datetime.now(UTC)).settle([arrival])[0]

    def receive_frame(self, payload: bytes) -> list[Settled]:
        """Take a frame, which may hold a batch, as a listener would."""
        now = datetime.now(UTC)
        arrivals = Interpreter(self.listeners["pas"], self.telemetry).arrivals([Frame(payload, 0)], now, Nobody())
        with self.database.begin() as connection:
            return Batch(self.stores, connection, now).settle(arrivals)

    def waiting(self) -> list[Waiting]:
        """What waits in quarantine."""
        return self.curator.page(state="waiting", sender="", after=0, size=10)

    def entries(self) -> int:
        """How many entries the journal has."""
        with self.database.read() as connection:
            return int(connection.scalar(select(func.count()).select_from(tables.journal)) or 0)

    def actions(self) -> list[str]:
        """What was audited, in order."""
        with self.database.read() as connection:
            return [entry.action for entry in reversed(self.trail.entries(connection, limit=50))]

    def family(self, record_id: int) -> str:
        """The name of a person."""
        with self.database.read() as connection:
            name = self.records.load(connection, [record_id])[record_id].record.demographics.name
        assert name is not None
        return f"{name.family}, {name.given}"


def held_until_now(desk: Desk, raw: bytes = A28, *, listener: str = "pas", organisation: str = "RX1") -> Settled:
    """A message that its listener held, as it does no more."""
    plain = ListenerOptions(listener, "", 0, organisation, ZoneInfo("Europe/London"))
    desk.listeners[listener] = replace(plain, verify_status=True)
    settled = desk.receive(raw, listener)
    assert str(settled.outcome) == "held"
    desk.listeners[listener] = plain
    return settled

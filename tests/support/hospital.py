"""A listener without its socket: reading, meaning, batch and commit over a database of its own.

It is all of a message's way but the wire, fast enough to be made anew for each of a hundred stories.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from msgspec.structs import replace
from sqlalchemy import Connection, select

from hl7_listener.acknowledgment import AckCode
from hl7_listener.adt import interpret
from hl7_listener.arrival import Arrival, Refused, Settled
from hl7_listener.batch import Batch, Stores
from hl7_listener.errors import Unreadable
from hl7_listener.framing import Frame, FrameDecoder
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile, read_identifier
from patient_records import tables
from patient_records.ids import IdSource
from patient_records.journal import Journal
from patient_records.keys import KeyRing
from patient_records.lineage import survivor_of
from patient_records.model import PatientRecord
from patient_records.ports import RecordChange
from patient_records.repository import Records
from patient_records.tables import metadata
from patient_records.unit_of_work import Database

ORGANISATION = "RX1"
ANOTHER = "RX2"
"""A second organisation on the same database."""


class Nobody:
    """Who hears of nothing: neither of settled arrivals nor of changed records."""

    abandoned = False

    def settled(self, settled: Settled) -> None:
        """Look away: tests look at what the batch returned."""

    def failed(self, arrival: Arrival) -> None:
        """Look away."""

    def give_up(self) -> None:
        """Look away."""

    def records_changed(self, connection: Connection, changes: Sequence[RecordChange], now: datetime) -> None:
        """Let invitations be: they have tests of their own."""


class Silent:
    """Telemetry that keeps nothing but the errors that it was told of."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []

    def connected(self, listener: str, change: int) -> None:
        """Look away."""

    def refused_connection(self, listener: str, reason: str) -> None:
        """Look away."""

    def received(self, listener: str, octets: int) -> None:
        """Look away."""

    def skipped(self, listener: str, octets: int) -> None:
        """Look away."""

    def limited(self, listener: str, reason: str) -> None:
        """Look away."""

    def committed(self, settled: Sequence[Settled], seconds: float) -> None:
        """Look away."""

    def storage_failed(self, code: str, arrivals: int) -> None:
        """Look away."""

    def internal_error(self, error: BaseException) -> None:
        """Keep it."""
        self.errors.append(error)


class Hospital:
    """One organisation's listener over the database of that URL; close it after use.

    ``beside`` is another one on the same database, whose keys it shares, as a second daemon would.
    """

    def __init__(self, database_url: str, *, beside: Hospital | None = None) -> None:
        ring: KeyRing = beside.ring if beside else KeyRing((), {}).completed((ORGANISATION, ANOTHER))
        self.ring: KeyRing = ring
        ids = IdSource(lambda: time.time_ns() // 1_000_000, os.urandom)
        self.database = Database(database_url)
        self.records = Records(ring, ids)
        self.listener = ListenerOptions("pas", "127.0.0.1", 0, ORGANISATION, ZoneInfo("Europe/London"))
        self.profile = SenderProfile()
        self._stores = Stores(self.records, Journal(ring), ids, Nobody())
        metadata.create_all(self.database.engine)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def send(self, *messages: bytes) -> list[Settled]:
        """Take messages as the listener would, all in one transaction, and give what became of them."""
        return self.send_as(*((ORGANISATION, raw) for raw in messages))

    def send_as(self, *messages: tuple[str, bytes]) -> list[Settled]:
        """Take messages at the listeners of the organisations named, all in one transaction."""
        arrivals = [self._arrival(raw, organisation) for organisation, raw in messages]
        with self.database.begin() as connection:
            return Batch(self._stores, connection, datetime.now(UTC)).settle(arrivals)

    def find(self, value: str) -> PatientRecord | None:
        """Find a person, merges followed, by an NHS number (ten digits) or else by the hospital's own number."""
        authority, kind = ("NHS", "NH") if len(value) == 10 and value.isdigit() else (ORGANISATION, "MR")
        identifier = read_identifier(value, authority, kind, self.profile, ORGANISATION).identifier
        assert identifier is not None, "no usable identifier"
        with self.database.read() as connection:
            found = self.records.find_one(connection, identifier)
            if found is None:
                return None
            survivor = survivor_of(connection, found)
            return self.records.load(connection, [survivor])[survivor].record

    def acts(self, journal_id: int) -> tuple[str, ...]:
        """What a message did to people beyond setting their fields, in order."""
        table = tables.effects
        statement = select(table.c.act).where(table.c.journal_id == journal_id).order_by(table.c.number)
        with self.database.read() as connection:
            return tuple(connection.scalars(statement))

    def _arrival(self, raw: bytes, organisation: str) -> Arrival:
        now, nobody = datetime.now(UTC), Nobody()
        listener = replace(self.listener, organisation=organisation)
        try:
            message = read(raw)
        except Unreadable as error:
            refused = Refused(AckCode.AR, f"unreadable: {error.code}")
            return Arrival(listener, now, 0, raw, error.header, refused, nobody)
        meaning = interpret(message, listener, self.profile, now)
        return Arrival(listener, now, 0, raw, message.header, meaning, nobody, message.charset_guessed)


def unframed(answer: bytes) -> bytes:
    """Give the acknowledgment in a framed answer; nothing for silence."""
    frames = [event.payload for event in FrameDecoder().feed(answer) if isinstance(event, Frame)]
    return frames[0] if frames else b""

"""Committed arrivals, as the ingest hands them on, and messages to make them of."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hl7_listener.arrival import Arrival, Ignored, Meaning, Settled
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from patient_records.reconcile import Outcome

RECEIVED = datetime(2024, 3, 5, 10, 15, tzinfo=UTC)
GOOD = (
    "MSH|^~\\&|PAS|RX1|doorstep|RX1|20240305101500||ADT^A28^ADT_A05|1|P|2.5.1\r"
    "EVN|A28|20240305101500\r"
    "PID|1||F000001^^^RX1^MR||Lovelace^Ada||19801210|F|||1 Long Lane^^Exampleton^^EX1 1AA||07700900123\r"
    "PV1|1|N\r"
)
FAULTY = GOOD.replace("F000001^^^RX1^MR", "")


class Nobody:
    """A connection that hears nothing."""

    abandoned = False

    def settled(self, settled: Settled) -> None:
        """Hear nothing."""

    def failed(self, arrival: Arrival) -> None:
        """Hear nothing."""

    def give_up(self) -> None:
        """There is nothing to give up."""


def listener(validation: str = "report", name: str = "pas") -> ListenerOptions:
    """A listener with that validation."""
    return ListenerOptions(name, "127.0.0.1", 0, "RX1", ZoneInfo("Europe/London"), validation=validation)


def settled(
    text: str = GOOD,
    journal_id: int = 1,
    options: ListenerOptions | None = None,
    meaning: Meaning | None = None,
    outcome: Outcome = Outcome.APPLIED,
) -> Settled:
    """One message, committed."""
    raw = text.encode()
    arrival = Arrival(options or listener(), RECEIVED, 0, raw, read(raw).header, meaning or Ignored("a test"), Nobody())
    return Settled(arrival, journal_id, outcome, "", "AA", b"")

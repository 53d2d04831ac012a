"""Which messages are checked, and where they wait: offered by the ingest's thread, taken by the checker's.

Offering never waits and never fails. With ``sample`` a sender has one message a second checked, with ``report`` all of
them; what finds no room is counted and forgotten, for a check is never worth a message's delay.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from hl7_listener.arrival import Arrival, Settled, Unanswered
from hl7_listener.finding import Finding
from patient_records.instants import to_micros
from patient_records.model import Masked
from patient_records.reconcile import Outcome

MOST_WAITING: Final = 64
MOST_WAITING_BYTES: Final = 4 << 20
SAMPLE_SECONDS: Final = 1.0
"""With ``sample``: how long a sender is left alone after one of its messages was taken."""
MOST_SENDERS: Final = 4096
"""Senders whose last sample is remembered; a feed has a few, and a hostile one may make up any number."""
LONGEST_SENDER: Final = 200
"""Characters of a sender that a report is kept under."""

_OFF, _SAMPLE = "off", "sample"


class Waiting(Masked, Struct, frozen=True):
    """One message to check: who sent it, which journal row it has, when it came (microseconds), and how to read it.

    ``checked`` are the findings of one that was checked before it was committed.
    """

    sender: str
    journal_id: int
    received_at: int
    raw: bytes
    charset: str
    profiles: tuple[str, ...] = ()
    checked: tuple[Finding, ...] | None = None


class CheckQueue:
    """Messages that wait to be checked. ``refused`` counts those that found no room."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._due: dict[tuple[str, str, str], float] = {}
        self._waiting: deque[Waiting] = deque()
        self._octets = 0
        self._ready = threading.Condition()
        self._closed = False
        self.refused = 0

    def offer(self, settled: Sequence[Settled]) -> None:
        """Take what is due of a committed batch; called by one thread."""
        now = 0.0
        for one in settled:
            arrival = one.arrival
            validation = arrival.listener.validation
            if validation == _OFF:
                continue
            if validation == _SAMPLE:
                header = arrival.header
                key = (arrival.listener.name, header.sending_application, header.sending_facility)
                now = now or self._monotonic()
                if now < self._due.get(key, now):
                    continue
                if not _is_checked(one):
                    continue
                if len(self._due) >= MOST_SENDERS:
                    self._due.clear()
                self._due[key] = now + SAMPLE_SECONDS
            elif not _is_checked(one):
                continue
            self._put(one)

    def _put(self, settled: Settled) -> None:
        arrival = settled.arrival
        with self._ready:
            if (
                self._closed
                or len(self._waiting) >= MOST_WAITING
                or self._octets + len(arrival.raw) > MOST_WAITING_BYTES
            ):
                self.refused += 1
                return
            waiting = _waiting(settled, arrival)
            self._octets += len(waiting.raw)
            self._waiting.append(waiting)
            self._ready.notify()

    def take(self, timeout: float | None) -> Waiting | None:
        """Wait for a message, so many seconds or for ever; None when none came, or the queue is closed and empty."""
        with self._ready:
            self._ready.wait_for(lambda: self._waiting or self._closed, timeout)
            if not self._waiting:
                return None
            taken = self._waiting.popleft()
            self._octets -= len(taken.raw)
            return taken

    def close(self) -> None:
        """Take nothing in any more; what waits can still be taken out."""
        with self._ready:
            self._closed = True
            self._ready.notify_all()

    def empty(self) -> None:
        """Forget what waits."""
        with self._ready:
            self.refused += len(self._waiting)
            self._waiting.clear()
            self._octets = 0

    @property
    def closed(self) -> bool:
        """Whether nothing comes in any more."""
        return self._closed


def _is_checked(settled: Settled) -> bool:
    """A repeat was checked when it came first; junk and acknowledgments are nobody's messages."""
    return settled.outcome is not Outcome.DUPLICATE and not isinstance(settled.arrival.meaning, Unanswered)


def _waiting(settled: Settled, arrival: Arrival) -> Waiting:
    sender = "".join(c if c.isprintable() else "?" for c in arrival.sender[:LONGEST_SENDER])
    at = to_micros(arrival.received_at)
    raw = arrival.raw if arrival.checked is None else b""
    charset, profiles = arrival.header.charset, arrival.listener.message_profiles
    return Waiting(sender, settled.journal_id, at, raw, charset, profiles, arrival.checked)

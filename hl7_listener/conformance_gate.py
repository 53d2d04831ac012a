"""``validation = "enforce"``: every message of a listener is checked before it is applied, and answered AE if it fails.

The gate stands between connections and the writer. Its thread has each message checked in the checking process, one
after the other, and hands it on as it came or as a refusal that names places and rules; either way the writer journals
it, and the answer comes after the commit as ever. So order is kept, and nothing is applied that was not checked.

It costs what hl7apy costs: some 60 messages a second for all enforcing listeners of a daemon together, and as much of a
processor. Whoever cannot be checked (too large, too slow, no process) cannot be called conformant, and is answered AE,
too; it is kept in quarantine, from where a person can have it applied all the same.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location
from hl7_listener.arrival import Arrival, Refused, Taker, Unanswered
from hl7_listener.conformance_checker import Checker
from hl7_listener.conformance_process import CheckFailed
from hl7_listener.finding import (
    MISPLACED_SEGMENT,
    MISSING_REQUIRED,
    MOST_BYTES,
    NOT_CHECKED,
    NOT_IN_TABLE,
    TOO_LARGE_TO_CHECK,
    TOO_SLOW_TO_CHECK,
    UNKNOWN_SEGMENT,
    Finding,
)

MOST_TOLD: Final = 10
"""ERR segments of one answer; the sender's report has the rest."""
_CODES: Final = {
    MISSING_REQUIRED: FaultCode.REQUIRED_FIELD_MISSING,
    NOT_IN_TABLE: FaultCode.TABLE_VALUE_NOT_FOUND,
    MISPLACED_SEGMENT: FaultCode.SEGMENT_SEQUENCE_ERROR,
    UNKNOWN_SEGMENT: FaultCode.SEGMENT_SEQUENCE_ERROR,
}
_SEGMENT_ID: Final = 3
_LATE, _RESTING = "late", "resting"
_PAUSE: Final = 1.0
"""Seconds between attempts while the checking process rests."""


class ConformanceGate:
    """Checks what it is handed, then hands it to ``behind``. One for all enforcing listeners of a daemon."""

    def __init__(self, behind: Taker, checker: Checker, internal_error: Callable[[BaseException], None]) -> None:
        self._behind = behind
        self._checker = checker
        self._internal_error = internal_error
        self._waiting: deque[Sequence[Arrival]] = deque()
        self._ready = threading.Condition()
        self._stopping = self._dropping = False
        self._thread = threading.Thread(target=self._run, name="conformance-gate", daemon=True)

    def start(self) -> None:
        """Start the thread; the process is started with the first message."""
        self._thread.start()

    def submit(self, arrivals: Sequence[Arrival]) -> None:
        """Take arrivals of one connection, in their order. Never blocks; the connection limits itself."""
        with self._ready:
            self._waiting.append(arrivals)
            self._ready.notify()

    def stop(self, timeout: float) -> bool:
        """Check and hand on what waits, then end; whether that was done within so many seconds.

        What was not handed on is not acknowledged, and is sent again.
        """
        with self._ready:
            self._stopping = True
            self._ready.notify()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            return True
        self._dropping = True
        with self._ready:
            self._waiting.clear()
        self._checker.end()
        return False

    def _run(self) -> None:
        try:
            while (arrivals := self._next()) is not None:
                self._pass(arrivals)
        finally:
            self._checker.close()

    def _next(self) -> Sequence[Arrival] | None:
        with self._ready:
            self._ready.wait_for(lambda: self._waiting or self._stopping)
            return self._waiting.popleft() if self._waiting else None

    def _pass(self, arrivals: Sequence[Arrival]) -> None:
        """Hand on one by one, that answers come as they are known; the messages of a batch frame stay together."""
        together: list[Arrival] = []
        for arrival in arrivals:
            if together and not arrival.follows:
                self._hand_on(together)
                together = []
            together.append(self._judged(arrival))
        self._hand_on(together)

    def _hand_on(self, arrivals: Sequence[Arrival]) -> None:
        if not self._dropping:
            self._behind.submit(arrivals)

    def _judged(self, arrival: Arrival) -> Arrival:
        if isinstance(arrival.meaning, Refused | Unanswered) or arrival.source.abandoned:
            return arrival
        try:
            found = self._found(arrival)
        except Exception as error:  # noqa: BLE001 (a fault of ours must not pass for conformance, nor stop the feed)
            self._internal_error(error)
            found = (Finding(NOT_CHECKED),)
        if not found:
            return replace(arrival, checked=())
        return replace(arrival, checked=found, meaning=refusal(found))

    def _found(self, arrival: Arrival) -> tuple[Finding, ...]:
        if len(arrival.raw) > MOST_BYTES:
            return (Finding(TOO_LARGE_TO_CHECK),)
        while True:
            try:
                return self._checker.check(arrival.raw, arrival.header.charset, arrival.listener.message_profiles)
            except CheckFailed as error:
                if error.code != _RESTING or self._dropping:
                    return (Finding(TOO_SLOW_TO_CHECK if error.code == _LATE else NOT_CHECKED),)
            with self._ready:  # the process is started again in a while; until then it is no message's fault
                self._ready.wait_for(lambda: self._dropping, _PAUSE)


def refusal(found: Sequence[Finding]) -> Refused:
    """The answer to a message with these findings: rules and places, never what stands there."""
    first = f"{found[0].rule} {found[0].place}".strip()
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return Refused(AckCode.AE, f"not conformant: {first}{more}", tuple(_fault(one) for one in found[:MOST_TOLD]))


def _fault(finding: Finding) -> Fault:
    return Fault(_CODES.get(finding.rule, FaultCode.DATA_TYPE_ERROR), _location(finding.place), finding.rule)


def _location(place: str) -> Location:
    """``PID-5.1`` as an ERR location; a group of segments has none."""
    segment, _, rest = place.partition("-")
    if len(segment) != _SEGMENT_ID:
        return Location()
    field, _, component = rest.partition(".")
    number = component.partition(".")[0]
    if not field.isdigit():
        return Location(segment, 1)
    return Location(segment, 1, int(field), 1 if number else 0, int(number) if number.isdigit() else 0)

"""Whether a message of an enforcing listener may pass: conformant as it is, or a refusal that names places and rules.

Asked when a message comes (``conformance_gate.py``), and again when it is replayed. Whoever cannot be checked (too
large, too slow, no process) cannot be called conformant.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import replace

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location
from hl7_listener.arrival import Arrival, Refused, Unanswered
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


class ConformanceJudge:
    """Judges one message after the other, by what the checker finds; one thread judges and closes."""

    def __init__(self, checker: Checker, internal_error: Callable[[BaseException], None]) -> None:
        self._checker = checker
        self._internal_error = internal_error
        self._ended = threading.Event()

    def end(self) -> None:
        """Make the check under way and all later ones fail; called from another thread."""
        self._ended.set()
        self._checker.end()

    def close(self) -> None:
        """Let go of the checker; called from the judging thread."""
        self._checker.close()

    def judged(self, arrival: Arrival) -> Arrival:
        """Give the message as it came, or as a refusal. Never raises."""
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
                if error.code != _RESTING or self._ended.is_set():
                    return (Finding(TOO_SLOW_TO_CHECK if error.code == _LATE else NOT_CHECKED),)
            self._ended.wait(_PAUSE)  # the process is started again in a while; until then it is no message's fault


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

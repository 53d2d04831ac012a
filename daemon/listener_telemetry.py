"""The listener's telemetry, kept: counters, and one log line for each message's end.

A line has the journal's id of the message, which also finds it in ``doorstep explain``; whatever is logged of it later
carries the same id. Values that come from a sender (MSH-3, 4 and 10) only pass the allow list in plain characters.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from functools import lru_cache
from threading import Lock
from typing import Final

import structlog
from msgspec import Struct

from daemon import logs
from daemon.metrics import Metrics
from daemon.rhythm import slot_of_micros
from hl7_listener.arrival import Settled
from hl7_listener.sequence import SequenceNumbers, SequenceState
from patient_records.instants import to_micros
from patient_records.reconcile import Outcome

MOST_SENDERS: Final = 1000
"""Senders that are told apart in one run: a hospital has dozens, and MSH-3 may hold anything."""
OTHERS: Final = "(others)"
"""All further senders together."""

_QUIET: Final = frozenset({"applied", "duplicate", "ignored", "stale"})
_NOT_A_CODE: Final = re.compile(r"[^a-z0-9]+")


class SenderActivity(Struct):
    """When a sender was first and last heard in this run, and how often. Times in microseconds, UTC.

    ``sequence`` is there when it numbers its messages (MSH-13). ``slots`` counts by quarter of an hour
    (:mod:`daemon.rhythm`) what was not asked for yet.
    """

    first_at: int
    last_at: int
    messages: int = 0
    sequence: SequenceState | None = None
    slots: dict[int, int] = {}


class ListenerTelemetry:
    """Implements :class:`hl7_listener.telemetry.Telemetry`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger("listener")
        self._lock = Lock()
        self._senders: dict[tuple[str, str], SenderActivity] = {}
        self._numbers: dict[tuple[str, str], SequenceNumbers] = {}
        self._observers: list[Callable[[Sequence[Settled]], None]] = []

    def listen(self, observer: Callable[[Sequence[Settled]], None]) -> None:
        """Have somebody else see each batch after its commit; quick, and never raising, like everything here."""
        self._observers.append(observer)

    def connected(self, listener: str, change: int) -> None:
        """Count connections; a probe that connects and leaves is no event, so there is no line for one."""
        self._metrics.connections.labels(listener).inc(change)

    def refused_connection(self, listener: str, reason: str) -> None:
        """Count and say that a connection was turned away."""
        self._metrics.connections_refused.labels(listener, reason).inc()
        self._log.warning("connection_refused", listener=listener, reason=reason)

    def received(self, listener: str, octets: int) -> None:
        """Count bytes."""
        self._metrics.received_bytes.labels(listener).inc(octets)

    def skipped(self, listener: str, octets: int) -> None:
        """Count fillers."""
        self._metrics.skipped_bytes.labels(listener).inc(octets)

    def limited(self, listener: str, reason: str) -> None:
        """Count and say that a limit acted."""
        self._metrics.limits.labels(listener, reason).inc()
        self._log.warning("limit", listener=listener, reason=reason)

    def committed(self, settled: Sequence[Settled], seconds: float) -> None:
        """Count a batch and give each of its messages its line."""
        self._metrics.batch_messages.observe(len(settled))
        self._metrics.commit_seconds.observe(seconds)
        counted: dict[tuple[str, str, str], int] = {}
        for one in settled:
            key = (one.arrival.listener.name, str(one.outcome), one.code or "none")
            counted[key] = counted.get(key, 0) + 1
            self._line(one)
        self._heard(settled)
        for (listener, outcome, code), count in counted.items():
            self._metrics.messages.labels(listener, outcome).inc(count)
            self._metrics.answers.labels(listener, code).inc(count)
            self._metrics.sender_last_message.labels(listener).set_to_current_time()
        for observer in self._observers:
            try:
                observer(settled)
            except Exception as error:  # noqa: BLE001 (an observer's fault is not the next one's)
                self.internal_error(error)

    def storage_failed(self, code: str, arrivals: int) -> None:
        """Count and say that a batch was not stored."""
        self._metrics.storage_failures.labels(code).inc()
        self._log.error("storage_failed", error_code=code, batch=arrivals)

    def internal_error(self, error: BaseException) -> None:
        """Count and say a fault of ours; the exception is reduced to its type and place by the log."""
        self._metrics.internal_errors.labels("ingest").inc()
        self._log.error("internal_error", exc_info=error)

    def senders(self) -> dict[tuple[str, str], SenderActivity]:
        """What each (listener, sender) did in this run; slots that are over are given once."""
        with self._lock:
            found = {}
            for key, one in self._senders.items():
                numbers = self._numbers.get(key)
                state = None if numbers is None else copy(numbers.state)
                found[key] = SenderActivity(one.first_at, one.last_at, one.messages, state, dict(one.slots))
                current = max(one.slots, default=0)
                one.slots = {slot: count for slot, count in one.slots.items() if slot == current}
            return found

    def remember(self, last: Mapping[tuple[str, str], int]) -> None:
        """Learn the last sequence numbers of an earlier run."""
        with self._lock:
            self._numbers = {key: SequenceNumbers(number) for key, number in last.items()}

    def _heard(self, settled: Sequence[Settled]) -> None:
        """Note who was heard, each sender of the batch once, and what its sequence numbers say."""
        by_sender: dict[tuple[str, str], list[Settled]] = {}
        for one in settled:
            if one.arrival.event:
                by_sender.setdefault((one.arrival.listener.name, one.arrival.sender), []).append(one)
        for sender, those in by_sender.items():
            known = self._note(sender, those)
            for one in those:
                number = one.arrival.header.sequence
                if number and one.outcome is not Outcome.DUPLICATE:
                    self._numbered(known, number, to_micros(one.arrival.received_at))

    def _note(self, sender: tuple[str, str], those: Sequence[Settled]) -> tuple[str, str]:
        """Count what came of a sender; gives what it is known as here."""
        times = [to_micros(one.arrival.received_at) for one in those]
        with self._lock:
            if sender not in self._senders and len(self._senders) >= MOST_SENDERS:
                sender = (sender[0], OTHERS)
            activity = self._senders.setdefault(sender, SenderActivity(times[0], times[0]))
            activity.last_at = times[-1]
            activity.messages += len(times)
            for at in times:
                slot = slot_of_micros(at)
                activity.slots[slot] = activity.slots.get(slot, 0) + 1
        return sender

    def _numbered(self, sender: tuple[str, str], number: str, at: int) -> None:
        """Follow a sender's sequence numbers, if it has any."""
        if sender[1] == OTHERS:
            return
        with self._lock:
            missing = self._numbers.setdefault(sender, SequenceNumbers()).saw(number, at)
        if missing:
            self._metrics.sequence_gaps.labels(sender[0]).inc()
            self._log.warning("sequence_gap", listener=sender[0], sender=sender[1], count=missing)

    def _line(self, settled: Settled) -> None:
        arrival = settled.arrival
        in_shape = bool(arrival.event)
        told: dict[str, object] = {
            "message_id": str(settled.journal_id),
            "listener": arrival.listener.name,
            "outcome": str(settled.outcome),
            "bytes": len(arrival.raw),
            "trigger": (arrival.header.trigger if in_shape else "") or None,
            "control_id": arrival.control_id or None,
            "sender": (arrival.sender if in_shape else "") or None,
            "reason": _as_code(settled.reason) or None,
            "record_id": str(settled.record_id) if settled.record_id else None,
        }
        logs.tell("message", logging.INFO if settled.outcome in _QUIET else logging.WARNING, told)


@lru_cache(maxsize=1024)
def _as_code(reason: str) -> str:
    """A reason of ours (never a sender's text) in the form that the log takes."""
    return _NOT_A_CODE.sub("_", reason.lower()).strip("_")[:64]

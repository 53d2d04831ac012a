"""``validation = "enforce"``: every message of a listener is checked before it is applied, and answered AE if it fails.

The gate stands between connections and the writer. Its thread has each message checked in the checking process, one
after the other, and hands it on as it came or as a refusal that names places and rules; either way the writer journals
it, and the answer comes after the commit as ever. So order is kept, and nothing is applied that was not checked.

It costs what hl7apy costs: some 60 messages a second for all enforcing listeners of a daemon together, and as much of a
processor. Whoever cannot be checked (too large, too slow, no process) cannot be called conformant, and is answered AE,
too; it is kept in quarantine, from where a person can have it applied all the same. So is a message that the gate
itself fails over, as an internal error.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from hl7_listener.arrival import INTERNAL_ERROR, Arrival, Refused, Taker, Unanswered
from hl7_listener.conformance_checker import Checker
from hl7_listener.conformance_judge import ConformanceJudge
from hl7_listener.finding import NOT_CHECKED, Finding


class ConformanceGate:
    """Checks what it is handed, then hands it to ``behind``. One for all enforcing listeners of a daemon."""

    def __init__(self, behind: Taker, checker: Checker, internal_error: Callable[[BaseException], None]) -> None:
        self._behind = behind
        self._judge = ConformanceJudge(checker, internal_error)
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
        self._judge.end()
        return False

    def _run(self) -> None:
        try:
            while (arrivals := self._next()) is not None:
                self._pass(arrivals)
        finally:
            self._judge.close()

    def _next(self) -> Sequence[Arrival] | None:
        with self._ready:
            self._ready.wait_for(lambda: self._waiting or self._stopping)
            return self._waiting.popleft() if self._waiting else None

    def _pass(self, arrivals: Sequence[Arrival]) -> None:
        """Hand on one by one, that answers come as they are known; the messages of a batch frame stay together.

        Never raises: without this thread no enforcing listener would answer anybody again.
        """
        handed_on = 0
        try:
            for end in _frame_ends(arrivals):
                self._hand_on([self._judged(arrival) for arrival in arrivals[handed_on:end]])
                handed_on = end
        except BaseException as error:  # noqa: BLE001 (see above)
            self._tell(error)
            with contextlib.suppress(Exception):  # nobody left to hand them to: unanswered, they are sent again
                self._hand_on([_not_judged(arrival) for arrival in arrivals[handed_on:]])

    def _judged(self, arrival: Arrival) -> Arrival:
        try:
            return self._judge.judged(arrival)
        except BaseException as error:  # noqa: BLE001 (a fault of ours must not pass for conformance, nor stop the feed)
            self._tell(error)
            return _not_judged(arrival)

    def _tell(self, error: BaseException) -> None:
        with contextlib.suppress(Exception):
            self._internal_error(error)

    def _hand_on(self, arrivals: Sequence[Arrival]) -> None:
        if not self._dropping:
            self._behind.submit(arrivals)


def _frame_ends(arrivals: Sequence[Arrival]) -> list[int]:
    """Give the positions behind the last message of each frame."""
    starts = [position for position, arrival in enumerate(arrivals) if position and not arrival.follows]
    return [*starts, len(arrivals)]


def _not_judged(arrival: Arrival) -> Arrival:
    """Make of a message that we failed over one that is kept for a person, answered AE and counted as not checked."""
    if isinstance(arrival.meaning, Refused | Unanswered):
        return arrival
    return replace(arrival, checked=(Finding(NOT_CHECKED),), meaning=INTERNAL_ERROR)

"""The threads that call one provider, and the gathering of what it said.

A provider may block for as long as it likes; that costs its own lane a thread and no other anything. Answers are handed
back in groups: all that came within :data:`GATHER` seconds share one commit, so that ten thousand quick answers do not
cost ten thousand fsyncs and a slow one does not hold up the quick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from msgspec import Struct

from invites.channels.channel import Outcome, Unknown
from invites.finish import Answer, NotBegun
from invites.outbox import OutboxEntry
from patient_records.model import Masked

GATHER: Final = 0.25
"""Seconds for which answers are gathered: an answer waits no longer for its commit, beside calls that take minutes."""


class Call(Masked, Struct, frozen=True):
    """One call to be made, and for which attempt of which entry."""

    entry: OutboxEntry
    number: int
    ask: Callable[[], Outcome]


class Senders:
    """A few threads that call one provider."""

    def __init__(self, name: str, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"send-{name}")

    def answers(self, calls: Sequence[Call], *, may_begin: Callable[[], bool]) -> Iterator[list[Answer]]:
        """Make these calls and give the answers in groups, as they come.

        Calls that could not begin while ``may_begin`` allowed it are answered :class:`NotBegun`; an exception that
        escapes a provider is Unknown, because nobody can say how far the call had come.
        """
        pending: set[Future[Answer]] = {self._pool.submit(_answer, call, may_begin) for call in calls}
        while pending:
            done, pending = wait(pending, timeout=GATHER)
            if not done:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield [future.result() for future in done]

    def close(self) -> None:
        """Wait for the calls that are under way, and end the threads."""
        self._pool.shutdown(wait=True)


def _answer(call: Call, may_begin: Callable[[], bool]) -> Answer:
    outcome: Outcome | NotBegun = NotBegun()
    if may_begin():
        try:
            outcome = call.ask()
        except Exception as fault:  # noqa: BLE001 (any exception: see Senders.answers)
            outcome = Unknown(type(fault).__name__)
    return Answer(call.entry, call.number, outcome)

"""The threads that call one provider, and the gathering of what it said.

A provider may block for as long as it likes; that costs its own lane a thread and no other anything. Answers are handed
back in groups: all that came within :data:`GATHER` seconds share one commit, so that ten thousand quick answers do not
cost ten thousand fsyncs and a slow one does not hold up the quick.

The threads are daemonic and our own. A pool of the standard library's is joined when the interpreter ends, so one
provider that hangs would keep a stopping daemon alive for as long as it hangs.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final

from msgspec import Struct

from invites.channels.channel import Outcome, Unknown
from invites.finish import Answer, NotBegun
from invites.outbox import OutboxEntry
from patient_records.model import Masked

GATHER: Final = 0.25
"""Seconds for which answers are gathered: an answer waits no longer for its commit, beside calls that take minutes."""


class Call(Masked, Struct, frozen=True):
    """One call to be made, and for which attempt of which entry; ``allowed`` is asked just before it begins."""

    entry: OutboxEntry
    number: int
    ask: Callable[[], Outcome]
    allowed: Callable[[], bool] = lambda: True


class Senders:
    """A few threads that call one provider."""

    def __init__(self, name: str, threads: int) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = [
            Thread(target=self._run, name=f"send-{name}-{number}", daemon=True) for number in range(threads)
        ]
        self._started = False
        self._closing = Event()
        self._closed = Event()

    @property
    def closing(self) -> bool:
        """Whether no call begins any more."""
        return self._closing.is_set()

    def answers(self, calls: Sequence[Call], *, may_begin: Callable[[], bool]) -> Iterator[list[Answer]]:
        """Make these calls and give the answers in groups, as they come.

        Calls that could not begin while ``may_begin`` allowed it are answered :class:`NotBegun`; an exception that
        escapes a provider is Unknown, because nobody can say how far the call had come. Once closed, this waits for
        nothing more: what is still under way is never answered, and *unknown* when its lease lapses.
        """
        if calls:
            self._start()
        done: SimpleQueue[Answer] = SimpleQueue()
        for call in calls:
            self._work.put(partial(self._make, call, may_begin, done))
        waiting = len(calls)
        while waiting and (group := self._gather(done, waiting)):
            waiting -= len(group)
            yield group

    def close(self, deadline: float) -> bool:
        """Begin no call any more, wait at most ``deadline`` seconds for those under way; gives whether all ended."""
        until = time.monotonic() + deadline
        self._closing.set()
        self._answer_what_waits()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads if self._started else ():
            thread.join(max(0.0, until - time.monotonic()))
        self._closed.set()
        return not any(thread.is_alive() for thread in self._threads)

    def _start(self) -> None:
        if not self._started:
            self._started = True
            for thread in self._threads:
                thread.start()

    def _answer_what_waits(self) -> None:
        """Say of the calls in line behind one that hangs that they were not begun, for their threads may never."""
        with contextlib.suppress(Empty):
            while True:
                if (work := self._work.get_nowait()) is not None:
                    work()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _make(self, call: Call, may_begin: Callable[[], bool], done: SimpleQueue[Answer]) -> None:
        outcome: Outcome | NotBegun = NotBegun()
        if may_begin() and call.allowed() and not self.closing:
            try:
                outcome = call.ask()
            except BaseException as fault:  # noqa: BLE001 (any exception, and whatever would end the thread)
                outcome = Unknown(type(fault).__name__)
        done.put(Answer(call.entry, call.number, outcome))

    def _gather(self, done: SimpleQueue[Answer], most: int) -> list[Answer]:
        """Wait for an answer, and a moment for others; none once closed."""
        group: list[Answer] = []
        until = time.monotonic() + GATHER
        while len(group) < most:
            try:
                group.append(done.get(timeout=max(0.0, until - time.monotonic())))
            except Empty:
                if group or self._closed.is_set():
                    break
                until = time.monotonic() + GATHER
        return group

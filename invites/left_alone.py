"""A provider that asked to be left alone: its whole lane is silent for as long, or for a minute.

A limit is the account's and not the message's. Without this, each of ten thousand queued messages would earn its own
"too many requests", and begin the time after which it is given up. After :data:`LONGEST` a few calls find out whether
it still holds, for a provider that says "tomorrow" may have been given a greater limit, and one that spoke of a single
message should not silence the others. In memory of one daemon: another finds out by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from invites.channels.channel import NotSent, Outcome, Unknown

LONGEST: Final = timedelta(minutes=1)
"""The window of the usual limits (Notify's: a minute), and how often one that lasts longer is tried again."""


class LeftAlone:
    """Until when one lane calls its provider no more; serves all its threads."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        """``elapsed`` gives seconds of a clock that never goes back."""
        self._elapsed = elapsed
        self._until = float("-inf")
        self._wary = False

    @property
    def left(self) -> timedelta:
        """How long it is still to be left alone."""
        return timedelta(seconds=max(0.0, self._until - self._elapsed()))

    @property
    def wary(self) -> bool:
        """Whether the last that was heard is that it wanted to be left alone: to be tried with few messages first."""
        return self._wary

    def call(self, call: Callable[[], Outcome]) -> Outcome:
        """Make the call, a message or a question, and hear whether the answer asks for silence."""
        outcome = call()
        wanted = outcome.retry_after if isinstance(outcome, NotSent | Unknown) else None
        self._wary = bool(wanted)
        if wanted:
            self._until = max(self._until, self._elapsed() + min(wanted, LONGEST).total_seconds())
        return outcome

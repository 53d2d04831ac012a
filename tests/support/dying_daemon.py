"""The daemon as it is, but that it kills itself (SIGKILL) the n-th time that it has done a step of sending.

``DYING_AT=marked:3`` names the step and the count. It is run in the place of ``python -m daemon``; nothing in the
daemon knows of it. The clock is quicker than a real one's, so that leases and retries of seconds are seen to in time.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from invites import assembly, outbox
from invites.dispatch import Dispatch
from invites.finish import Finish
from invites.prepare import Prepare
from invites.senders import Senders
from invites.settle import Settle

DYING_AT: Final = "DYING_AT"
BATCH: Final = 5
"""Entries in one claim, so that one death has a few of them in its hands and not all."""
CALLING, CALLED = "calling", "called"

STEPS: Final[dict[str, tuple[Any, str]]] = {
    "claimed": (Dispatch, "_claim"),
    "prepared": (Prepare, "__call__"),
    "marked": (Dispatch, "_mark"),
    "finished": (Finish, "_once"),
    "lapsed": (outbox, "lapse"),
    "settling": (Settle, "_claim"),
    "marked_again": (Settle, "_mark"),
}
"""Each step is over, its transaction committed, when the function returns (``lapsed``: just before)."""

ALL_STEPS: Final = (*STEPS, CALLING, CALLED)


class _Fate:
    """Counts, and ends it."""

    def __init__(self, remaining: int) -> None:
        self._remaining = remaining
        self._counting = threading.Lock()

    def __call__(self) -> None:
        with self._counting:
            self._remaining -= 1
            if self._remaining <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def doom(step: str, count: int) -> None:
    """Arrange that this process ends so."""
    fate = _Fate(count)
    if step in STEPS:
        place, name = STEPS[step]
        setattr(place, name, _then(getattr(place, name), fate, idle=step != "finished"))
    else:
        make = Senders._make

        def doomed(self: Senders, call: Any, *rest: Any) -> None:
            make(self, type(call)(call.entry, call.number, _around(call.ask, fate, before=step == CALLING)), *rest)

        setattr(Senders, "_make", doomed)  # noqa: B010 (mypy knows that it is a method)


def _then(done: Callable[..., Any], fate: _Fate, *, idle: bool) -> Callable[..., Any]:
    def wrapped(*given: Any, **named: Any) -> Any:
        result = done(*given, **named)
        if result or not idle:
            fate()
        return result

    return wrapped


def _around(ask: Callable[[], Any], fate: _Fate, *, before: bool) -> Callable[[], Any]:
    def wrapped() -> Any:
        if before:
            fate()
        answer = ask()
        if not before:
            fate()
        return answer

    return wrapped


def _in_small_batches(claim: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *given, limit, **named: claim(*given, limit=min(limit, BATCH), **named)


def main() -> None:
    """Run the daemon's command line."""
    assembly.SWEEP_EVERY = timedelta(milliseconds=300)  # type: ignore[misc]
    assembly.DISPATCH_EVERY = timedelta(milliseconds=100)  # type: ignore[misc]
    for claim in ("claim", "claim_unknown"):
        setattr(outbox, claim, _in_small_batches(getattr(outbox, claim)))
    if DYING_AT in os.environ:
        step, _, count = os.environ[DYING_AT].partition(":")
        doom(step, int(count))
    from daemon.cli import main as run  # noqa: PLC0415 (what it imports is patched by now)

    run()


if __name__ == "__main__":
    main()

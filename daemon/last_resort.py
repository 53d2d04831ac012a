"""The end that comes in any case: a thread that waits for the stop's deadline and then ends the process.

Whatever hangs (a silent database, a provider, a lock), a process that was told to stop must be gone when its time is
up, or its supervisor kills it and nobody knows why. Nothing that was acknowledged is lost by it, for an acknowledgment
follows its commit; what was not is sent again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final, NoReturn

import structlog

from daemon import logs

_LAST_LINES: Final = 0.5
"""Seconds for the log, within the deadline."""


def _exit() -> NoReturn:
    os._exit(1)


class LastResort:
    """Armed once; ends the process with status 1 unless the process has ended or :meth:`disarm` was called."""

    def __init__(self, end: Callable[[], object] = _exit) -> None:
        self._end = end
        self._disarmed = threading.Event()

    def arm(self, seconds: float) -> None:
        """Count down from now."""
        threading.Thread(target=self._wait, args=(seconds,), name="last-resort", daemon=True).start()

    def disarm(self) -> None:
        """Everything has ended."""
        self._disarmed.set()

    def _wait(self, seconds: float) -> None:
        if self._disarmed.wait(max(0.0, seconds - _LAST_LINES)):
            return
        structlog.get_logger("daemon").error("stop_deadline_passed", state="ended_unfinished")
        logs.flush(_LAST_LINES)
        self._end()

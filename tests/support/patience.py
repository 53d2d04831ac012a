"""Waiting for what another process does, when all it gives is a file, a row or an end.

A wait ends with its signal. The limit is there only so that a hung test fails and says what it hung on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SAFETY = 120.0
"""Seconds after which a wait is hung."""
INTERVAL = 0.02
"""Seconds between two looks."""


def eventually(look: Callable[[], T | None], what: str, *, safety: float = SAFETY) -> T:
    """Look until there is something true, and give it; ``what`` names it for the failure."""
    tick, limit = threading.Event(), time.monotonic() + safety
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < limit, f"still waiting for {what} after {safety:.0f} s"
        tick.wait(INTERVAL)

"""Telemetry that cannot hurt: what a counter or a log raises ends here, and is counted as a fault of ours.

The listener tells of itself from the event loop's callbacks and from the writer's thread. An exception in either place
would cost somebody an answer, or everybody the writer, for the sake of a number.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import ParamSpec

from hl7_listener.arrival import Settled
from hl7_listener.telemetry import Telemetry

P = ParamSpec("P")


class GuardedTelemetry:
    """Implements :class:`Telemetry` by another one, and never raises."""

    def __init__(self, inner: Telemetry) -> None:
        self._inner = inner

    def connected(self, listener: str, change: int) -> None:
        """Pass it on."""
        self._tell(self._inner.connected, listener, change)

    def refused_connection(self, listener: str, reason: str) -> None:
        """Pass it on."""
        self._tell(self._inner.refused_connection, listener, reason)

    def received(self, listener: str, octets: int) -> None:
        """Pass it on."""
        self._tell(self._inner.received, listener, octets)

    def skipped(self, listener: str, octets: int) -> None:
        """Pass it on."""
        self._tell(self._inner.skipped, listener, octets)

    def limited(self, listener: str, reason: str) -> None:
        """Pass it on."""
        self._tell(self._inner.limited, listener, reason)

    def committed(self, settled: Sequence[Settled], seconds: float) -> None:
        """Pass it on."""
        self._tell(self._inner.committed, settled, seconds)

    def storage_failed(self, code: str, arrivals: int) -> None:
        """Pass it on."""
        self._tell(self._inner.storage_failed, code, arrivals)

    def internal_error(self, error: BaseException) -> None:
        """Pass it on; if even this fails there is nobody left to tell."""
        with contextlib.suppress(Exception):
            self._inner.internal_error(error)

    def _tell(self, call: Callable[P, None], *given: P.args, **named: P.kwargs) -> None:
        try:
            call(*given, **named)
        except Exception as error:  # noqa: BLE001 (whatever it is, it must not reach who only wanted to count)
            self.internal_error(error)

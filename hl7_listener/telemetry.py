"""What the listener tells of itself, without saying how it is kept: counters and log lines are the daemon's business.

Called on the hot path, from the event loop and from the writer's thread; implementations must be quick and never raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hl7_listener.arrival import Settled


class Telemetry(Protocol):
    """Who counts. Codes and numbers only: no method takes content."""

    def connected(self, listener: str, change: int) -> None:
        """A connection opened (1) or closed (-1)."""
        ...

    def refused_connection(self, listener: str, reason: str) -> None:
        """A connection was turned away: ``full``, ``not_allowed``, or a reason of :func:`hl7_listener.tls.why`."""
        ...

    def received(self, listener: str, octets: int) -> None:
        """So many bytes came in."""
        ...

    def skipped(self, listener: str, octets: int) -> None:
        """So many blanks between frames were skipped."""
        ...

    def limited(self, listener: str, reason: str) -> None:
        """A limit acted: ``frame_deadline``, ``too_large``, ``idle``, ``answers_not_taken``."""
        ...

    def committed(self, settled: Sequence[Settled], seconds: float) -> None:
        """A batch is durable; ``seconds`` from its first statement to the end of its commit."""
        ...

    def storage_failed(self, code: str, arrivals: int) -> None:
        """A batch could not be stored; none of its messages was acknowledged."""
        ...

    def internal_error(self, error: BaseException) -> None:
        """One arrival could not be processed because of a fault of ours; it was answered AE and kept."""
        ...

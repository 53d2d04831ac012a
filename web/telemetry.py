"""What the web faces tell of their work: a port, which the daemon implements with its metrics and its log."""

from __future__ import annotations

from typing import Protocol


class RequestTelemetry(Protocol):
    """Hears of every answer. A route is told by its template, never by the path that was called (SPEC 7)."""

    def answered(self, route: str, method: str, status: int, seconds: float, client: str) -> None:
        """An answer was given; ``client`` is the caller's client id, empty where nobody is known."""
        ...

    def failed(self, route: str, error: BaseException) -> None:
        """A fault of doorstep's own, or storage that failed, ended in an answer that says nothing of it."""
        ...

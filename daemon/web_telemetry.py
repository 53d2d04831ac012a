"""The web faces' telemetry, kept: a counter and a time for each route, and one log line for each answer.

A route is told by its template: what was called may hold a national number, and stays out of log and metrics (SPEC 7).
"""

from __future__ import annotations

from typing import Final

import structlog

from daemon.metrics import Metrics
from patient_records.errors import RecordsError, StorageConflict, StorageUnavailable
from web.background import TookTooLong

_WAITING: Final = (StorageUnavailable, StorageConflict, TookTooLong)


class WebTelemetry:
    """Implements :class:`web.telemetry.RequestTelemetry`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger("web")

    def answered(self, route: str, method: str, status: int, seconds: float, client: str) -> None:
        """Count, time and log one answer."""
        self._metrics.requests.labels(route, method, str(status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        known = {"client": client} if client else {}
        self._log.info(
            "request", path=route, method=method, status=status, duration_ms=round(seconds * 1000, 1), **known
        )

    def failed(self, route: str, error: BaseException) -> None:
        """Storage or time was short, or something of ours is wrong: counted, and logged by type and place."""
        if isinstance(error, _WAITING):
            code = error.code if isinstance(error, RecordsError) and hasattr(error, "code") else "time"
            self._log.warning("request_waits_for_storage", path=route, error_code=code)
        else:
            self._metrics.internal_errors.labels("web").inc()
            self._log.error("request_failed", path=route, exc_info=error)

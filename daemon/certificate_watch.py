"""Certificates of a running daemon: taken up when their files change, spoken of before they end.

Files are looked at with every beat, and at once on SIGHUP. A file that cannot be used is told once and leaves what is
in force alone; it is tried again with every beat, for a renewal writes certificate and key one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from daemon.metrics import Metrics
from daemon.vital_signs import CERTIFICATE
from hl7_listener.certificates import SOON, TlsFault
from hl7_listener.tls import TlsSide

_AGAIN: Final = timedelta(days=1)


class CertificateWatch:
    """Watches what the listeners named speak TLS with."""

    def __init__(self, sides: Mapping[str, TlsSide], metrics: Metrics) -> None:
        self._sides = sides
        self._metrics = metrics
        self._log = structlog.get_logger("certificates")
        self._told: dict[str, str] = {}
        self._warned: dict[str, datetime] = {}

    def look(self, now: datetime, *, force: bool = False) -> None:
        """Take up what has changed (``force``: everything). Reads files."""
        for listener, side in self._sides.items():
            self._refresh(listener, side, now, force=force)
            self._metrics.certificate_expires.labels(listener).set(side.expires_at.timestamp())
            self._warn(listener, side.expires_at - now, now)

    def report(self) -> dict[str, int]:
        """When each certificate ends, for the daemon's row."""
        return {f"{CERTIFICATE}{name}": int(side.expires_at.timestamp()) for name, side in self._sides.items()}

    def _refresh(self, listener: str, side: TlsSide, now: datetime, *, force: bool) -> None:
        try:
            taken = side.refresh(now, force=force)
        except TlsFault as fault:
            if force or self._told.get(listener) != fault.code:
                self._told[listener] = fault.code
                self._log.warning(
                    "certificate_not_taken_up",
                    listener=listener,
                    error_code=fault.code,
                    next="doorstep check-config says what is wrong; the one in force stays",
                )
            return
        self._told.pop(listener, None)
        if taken:
            self._log.info("certificate_taken_up", listener=listener)

    def _warn(self, listener: str, left: timedelta, now: datetime) -> None:
        """Say once a day that a certificate has little time left (``count`` days), or none."""
        if left > SOON or now - self._warned.get(listener, now - _AGAIN) < _AGAIN:
            return
        self._warned[listener] = now
        self._log.warning("certificate_ends_soon", listener=listener, count=max(left.days, 0))

"""TLS on a listener: a context made of files, and made anew when they change.

A connection keeps the context that it began with, so links that live go on with the certificate that they have seen;
only new ones get the new one. Files that cannot be used (half written, the certificate renewed and not yet its key)
leave the context that is in force alone.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hl7_listener.certificates import TlsFault, TlsOptions, expiry, faults

_MINIMUM: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_REASONS: Final = {
    "WRONG_VERSION_NUMBER": "not_tls",
    "HTTP_REQUEST": "not_tls",
    "HTTPS_PROXY_REQUEST": "not_tls",
    "UNKNOWN_PROTOCOL": "not_tls",
    "PACKET_LENGTH_TOO_LONG": "not_tls",
    "RECORD_LAYER_FAILURE": "not_tls",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no_client_certificate",
    "CERTIFICATE_VERIFY_FAILED": "client_certificate_not_trusted",
    "UNSUPPORTED_PROTOCOL": "tls_version_too_old",
    "NO_SHARED_CIPHER": "no_shared_cipher",
    "TLSV1_ALERT_UNKNOWN_CA": "our_certificate_not_trusted",
    "SSLV3_ALERT_BAD_CERTIFICATE": "our_certificate_not_trusted",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "our_certificate_not_trusted",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our_certificate_not_trusted",
}
"""OpenSSL's reasons in words of ours; those behind ``ALERT`` are what the other side said."""


class TlsSide:
    """What a listener speaks TLS with. ``context`` is for the next connection; ``expires_at`` its certificate's end."""

    def __init__(self, options: TlsOptions, now: datetime) -> None:
        """Load the files. Raises TlsFault."""
        self.options = options
        self._loaded = _signature(options.files)
        self.context = _context(options, now)
        self.expires_at = expiry(options.certificate)

    def refresh(self, now: datetime, *, force: bool = False) -> bool:
        """Load the files again if one has changed (``force``: in any case); whether it was done.

        Raises TlsFault when they cannot be used: what was in force stays so. Reads files: not for the event loop.
        """
        signature = _signature(self.options.files)
        if signature == self._loaded and not force:
            return False
        context = _context(self.options, now)
        self.expires_at = expiry(self.options.certificate)
        self.context, self._loaded = context, signature
        return True


def _signature(paths: tuple[Path, ...]) -> tuple[tuple[int, int, int] | None, ...]:
    """What changes when a file is replaced or written: its inode, time and size; None where there is none."""
    return tuple(_file_signature(path) for path in paths)


def _file_signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)


def _context(options: TlsOptions, now: datetime) -> ssl.SSLContext:
    for fault in faults(options, now):
        raise fault
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _MINIMUM[options.minimum]
    context.options |= ssl.OP_NO_RENEGOTIATION
    try:
        # A password that is empty is given all the same: OpenSSL would ask for it on the terminal.
        context.load_cert_chain(options.certificate, options.key, lambda: options.key_password)
        if options.client_authority is not None:
            context.load_verify_locations(options.client_authority)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
        raise TlsFault(
            "refused", "certificate", f"or its key is refused by OpenSSL ({reason})", "Make them anew"
        ) from None
    return context


def why(error: BaseException) -> str:
    """Name the reason of a failed handshake; empty for a peer that left, which is no event (SPEC 3.1)."""
    if isinstance(error, ssl.SSLError):
        return _REASONS.get(error.reason or "", "handshake_failed")
    if isinstance(error, TimeoutError) or "longer than" in str(error):  # asyncio's ConnectionAbortedError
        return "handshake_timeout"
    return ""


def is_allowed(peer: Mapping[str, Any] | None, allowed: tuple[str, ...]) -> bool:
    """Whether a certificate, as ``getpeercert`` gives it, has one of the names that may connect."""
    wanted = {name.casefold() for name in allowed}
    return not wanted or any(name.casefold() in wanted for name in _names(peer or {}))


def _names(peer: Mapping[str, Any]) -> Iterator[str]:
    for part in peer.get("subject", ()):
        yield from (value for key, value in part if key == "commonName")
    yield from (value for _kind, value in peer.get("subjectAltName", ()))

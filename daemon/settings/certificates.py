"""What only the files show: certificates and keys of listeners that TLS cannot be spoken with."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from daemon.settings.faults import Contradiction
from daemon.settings.listener import Listener
from daemon.settings.sections import Settings

if TYPE_CHECKING:
    from hl7_listener.certificates import TlsOptions


def tls_options(listener: Listener) -> TlsOptions | None:
    """What a listener's TLS is made of; None where it speaks plain TCP."""
    tls = listener.tls
    if tls.certificate is None or tls.key is None:
        return None
    from hl7_listener.certificates import TlsOptions  # noqa: PLC0415 (cryptography: only who speaks TLS waits for it)

    return TlsOptions(
        tls.certificate,
        tls.key,
        tls.key_password.reveal(),
        tls.client_authority,
        tls.allowed_subjects,
        tls.minimum,
        tls.handshake_timeout,
    )


def unusable_certificates(settings: Settings, now: datetime) -> Iterator[Contradiction]:
    """Find every file of [listeners.tls] that cannot be read, does not fit, or is out of its time."""
    for position, listener in enumerate(settings.listeners):
        options = None if listener.tls.key_password.missing else tls_options(listener)
        if options is None:
            continue
        from hl7_listener.certificates import faults  # noqa: PLC0415

        for fault in faults(options, now):
            yield Contradiction(("listeners", position, "tls", fault.setting), fault.wrong, fault.mend)


def soon_expired(settings: Settings, now: datetime) -> Iterator[tuple[Listener, timedelta]]:
    """Find listeners whose sound certificate has little time left, and how much."""
    for listener in settings.listeners:
        if listener.tls.certificate is None:
            continue
        from hl7_listener.certificates import SOON, expiry  # noqa: PLC0415

        left = expiry(listener.tls.certificate) - now
        if left <= SOON:
            yield listener, left

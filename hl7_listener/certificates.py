"""The files that TLS on a listener needs, and what is wrong with them: said so that it can be mended.

OpenSSL says ``PEM lib`` of most things. So the files are looked at one by one first, and each fault names its setting.
No fault shows what is in a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Literal, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from msgspec import Struct

from hl7_listener.errors import ListenerError
from patient_records.model import Masked

Minimum: TypeAlias = Literal["1.2", "1.3"]

SOON: Final = timedelta(days=30)
"""How long before its end a certificate is spoken of: renewing one may take a hospital's paperwork."""


class TlsOptions(Masked, Struct, frozen=True):
    """TLS on one listener: PEM files, the oldest version, and whose certificates are let in.

    ``certificate`` is the server's own, then the chain up to an authority that senders trust; ``key`` opens with
    ``key_password`` where it is encrypted. With ``client_authority`` a sender must show a certificate that one of
    these authorities signed; ``allowed`` are the names (common name or any subject alternative name, in any case) of
    which that certificate must have one; empty: every one that is signed so. ``handshake_timeout`` bounds what a
    stranger can hold before it is known.
    """

    certificate: Path
    key: Path
    key_password: str = ""
    client_authority: Path | None = None
    allowed: tuple[str, ...] = ()
    minimum: Minimum = "1.2"
    handshake_timeout: timedelta = timedelta(seconds=10)

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that it is made of."""
        own = (self.certificate, self.key)
        return own if self.client_authority is None else (*own, self.client_authority)


class TlsFault(ListenerError):
    """A file that TLS cannot be spoken with: the ``setting`` that names it, what is ``wrong`` and the ``mend``.

    Codes: ``unreadable``, ``no_certificate``, ``no_key``, ``key_encrypted``, ``other_key``, ``expired``, ``not_yet``,
    ``refused`` (by OpenSSL).
    """

    def __init__(self, code: str, setting: str, wrong: str, mend: str) -> None:
        super().__init__(code)
        self.setting = setting
        self.wrong = wrong
        self.mend = mend


def faults(options: TlsOptions, now: datetime) -> Iterator[TlsFault]:
    """Find all that is wrong with the files of one listener, as of ``now``."""
    own: list[x509.Certificate] = []
    try:
        own = _certificates(options.certificate, "certificate")
        _in_force(own[0], "certificate", now)
    except TlsFault as fault:
        yield fault
    try:
        public = _public_key(options)
        if own and _spki(own[0]) != public:
            yield TlsFault(
                "other_key",
                "key",
                "does not belong to the certificate",
                "Name the key that the certificate was made for; the server's own certificate must be the first in "
                "its file, the chain behind it",
            )
    except TlsFault as fault:
        yield fault
    if options.client_authority is not None:
        try:
            for authority in _certificates(options.client_authority, "client_authority"):
                _in_force(authority, "client_authority", now)
        except TlsFault as fault:
            yield fault


def expiry(path: Path) -> datetime:
    """Give the end of the first certificate in a file, aware. Raises TlsFault."""
    return _certificates(path, "certificate")[0].not_valid_after_utc


def _certificates(path: Path, setting: str) -> list[x509.Certificate]:
    content = _content(path, setting)
    try:
        return x509.load_pem_x509_certificates(content)
    except ValueError:
        raise TlsFault(
            "no_certificate",
            setting,
            f"{path} holds no PEM certificate",
            "It must begin with -----BEGIN CERTIFICATE-----; `openssl x509 -inform der` converts a binary one",
        ) from None


def _in_force(certificate: x509.Certificate, setting: str, now: datetime) -> None:
    """Raise TlsFault when a certificate is out of its time."""
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if last < now:
        raise TlsFault("expired", setting, f"expired on {last:%Y-%m-%d %H:%M} UTC", "Renew it")
    if first > now:
        raise TlsFault(
            "not_yet", setting, f"is valid from {first:%Y-%m-%d %H:%M} UTC only", "Wait for it, or set this clock right"
        )


def _public_key(options: TlsOptions) -> bytes:
    content = _content(options.key, "key")
    password = options.key_password.encode() or None
    try:
        key = load_pem_private_key(content, password)
    except TypeError:  # how the library says that a password is missing, or one too many
        if password is not None:
            return _public_key(_without_password(options))
        raise TlsFault(
            "key_encrypted", "key", "is encrypted, and key_password is empty", "Give its password in key_password"
        ) from None
    except ValueError:
        wrong = f"{options.key} holds no PEM private key" + (" that key_password opens" if password else "")
        raise TlsFault("no_key", "key", wrong, "It must have a line -----BEGIN ... PRIVATE KEY-----") from None
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _without_password(options: TlsOptions) -> TlsOptions:
    return TlsOptions(options.certificate, options.key)


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _content(path: Path, setting: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsFault(
            "unreadable",
            setting,
            f"{path} cannot be read ({error.strerror or type(error).__name__})",
            "Name a PEM file that the daemon's user may read",
        ) from None

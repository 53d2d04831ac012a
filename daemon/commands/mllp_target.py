"""What the commands that speak to a listener have in common: its address, and TLS towards it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_OPTIONS: Final = (
    click.option("--tls", is_flag=True, help="Speak TLS (1.2 up), with the system's authorities unless --tls-ca."),
    click.option("--tls-ca", type=_FILE, help="Trust this authority."),
    click.option("--tls-cert", type=_FILE, help="Our certificate (PEM)."),
    click.option("--tls-key", type=_FILE, help="Our private key (PEM), where it is not in --tls-cert."),
    click.option("--tls-insecure", is_flag=True, help="Check nothing: for a laboratory only."),
)


def tls_options(function: F) -> F:
    """Add the options of TLS; any of them means that TLS is spoken."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def address_of(target: str, name: str) -> tuple[str, int]:
    """Take HOST:PORT apart; ``name`` is what takes it. Raises UsageError."""
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise click.UsageError(f"{name} takes HOST:PORT, such as 127.0.0.1:2575, not {target}")
    return host.strip("[]"), int(port)


def tls_of(
    ca: Path | None, certificate: Path | None, key: Path | None, *, tls: bool, insecure: bool
) -> ssl.SSLContext | None:
    """Make the context that the options ask for; None where none was given, and nothing is encrypted.

    Who names a certificate wants to be safe: what is sent is never in clear because ``--tls`` was forgotten beside it.
    """
    if key is not None and certificate is None:
        raise click.UsageError("--tls-key belongs to a certificate: name it with --tls-cert")
    if not (tls or insecure or ca or certificate):
        return None
    from hl7_listener.client import tls_context  # noqa: PLC0415 (asyncio and python-hl7: not for --help)

    try:
        return tls_context(ca, certificate, key, insecure=insecure)
    except (OSError, ssl.SSLError) as error:
        raise click.ClickException(f"the TLS files cannot be used ({type(error).__name__}): check --tls-*") from None

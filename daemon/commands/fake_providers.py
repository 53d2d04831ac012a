"""``doorstep fake-providers``."""

from __future__ import annotations

import asyncio
import signal
import ssl
from pathlib import Path

import click

from daemon.fake_providers.callbacks import CallbackOptions
from daemon.fake_providers.ledger import Ledger
from daemon.fake_providers.notify_api import FAKE_KEY
from daemon.fake_providers.script import Script, read_script
from daemon.fake_providers.smtp_sink import SinkOptions
from daemon.fake_providers.street import Street, StreetOptions

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    "fake-providers",
    epilog="Example: doorstep fake-providers --smtp-port 2525 --http-port 8025 --ledger accepted.jsonl",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--smtp-port", default=0, help="The SMTP sink's port (default: any free one).")
@click.option("--http-port", default=0, help="Notify's, the SMS gateway's and /control's port (default: any free one).")
@click.option("--ledger", type=_FILE, help="Append what is accepted to this file, one JSON object a line.")
@click.option("--script", type=_FILE, help="How they misbehave (JSON or TOML); PUT /control/script changes it.")
@click.option("--notify-key", default=FAKE_KEY, help="The API key of the Notify-like service (default: its own).")
@click.option("--notify-callback", default="", help="Where receipts of Notify go, such as .../receipts/notify.")
@click.option("--gateway-callback", default="", help="Where receipts of the gateway go, such as .../receipts/sms.")
@click.option("--callback-secret", default="", help="The bearer token that receipts show.")
@click.option("--starttls", nargs=2, type=_FILE, metavar="CERTIFICATE KEY", help="Offer STARTTLS with these PEM files.")
@click.option("--login", nargs=2, metavar="NAME PASSWORD", help="Ask for this login.")
def command(
    *,
    host: str,
    smtp_port: int,
    http_port: int,
    ledger: Path | None,
    script: Path | None,
    notify_key: str,
    notify_callback: str,
    gateway_callback: str,
    callback_secret: str,
    starttls: tuple[Path, Path] | None,
    login: tuple[str, str] | None,
) -> None:
    """Run providers that deliver to nobody: an SMTP sink, a Notify-like API and an SMS gateway.

    The first line of output is a JSON object with the bound ports. For invented people only: what they accept stands in
    the ledger in clear.
    """
    try:
        options = StreetOptions(
            host=host,
            smtp_port=smtp_port,
            http_port=http_port,
            notify_key=notify_key,
            notify_callback=CallbackOptions(notify_callback, callback_secret),
            gateway_callback=CallbackOptions(gateway_callback, callback_secret),
            sink=_sink(starttls, login),
        )
        street = Street(read_script(script) if script else Script(), Ledger(ledger), options)
        asyncio.run(_serve(street))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{error}") from None


def _sink(starttls: tuple[Path, Path] | None, login: tuple[str, str] | None) -> SinkOptions:
    context = None
    if starttls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*starttls)
    name, password = login or ("", "")
    return SinkOptions("starttls" if context else "none", context, name, password)


async def _serve(street: Street) -> None:
    ports = await street.start()
    click.echo(f'{{"smtp": {ports.smtp}, "http": {ports.http}}}')
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    await street.stop()

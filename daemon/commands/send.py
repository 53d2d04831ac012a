"""``doorstep send``."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands.shared_options import on_a_terminal, printable

if TYPE_CHECKING:
    from hl7_listener.client import Summary
    from hl7_listener.lane import Answer


@click.command(
    "send",
    epilog="Example: doorstep send fixtures/adt --to 127.0.0.1:2575 --connections 4",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--to", "target", required=True, metavar="HOST:PORT", help="Where the listener is.")
@click.option("--connections", type=click.IntRange(1, 1000), default=1, show_default=True)
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="At most so many messages a second.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=30.0, show_default=True)
@click.option("--tls", is_flag=True, help="Speak TLS (1.2 up), with the system's authorities unless --tls-ca.")
@click.option("--tls-ca", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Trust this authority.")
@click.option("--tls-cert", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Our certificate (PEM).")
@click.option("--tls-key", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Our private key (PEM).")
@click.option("--tls-insecure", is_flag=True, help="Check nothing: for a laboratory only.")
@click.option("--quiet", is_flag=True, help="Print the summary only.")
@click.option("--json", "as_document", is_flag=True, help="Print the summary as JSON.")
@click.pass_context
def command(
    context: click.Context,
    *,
    files: tuple[Path, ...],
    target: str,
    connections: int,
    rate: float | None,
    timeout: float,
    tls: bool,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_insecure: bool,
    quiet: bool,
    as_document: bool,
) -> None:
    """Send HL7 messages over MLLP and print each answer and a summary.

    FILES are single messages, files of many, batches (FHS/BHS), framed captures, or folders of these. The order is kept
    for each patient. Status 1 when anything was refused or could not be sent.
    """
    host, port = _address(target)
    secured = _tls(tls_ca, tls_cert, tls_key, insecure=tls_insecure) if tls or tls_ca or tls_insecure else None
    from hl7_listener.client import send  # noqa: PLC0415 (asyncio and python-hl7: not for --help)

    def show(answer: Answer) -> None:
        if not quiet and not as_document:
            click.echo(_line(answer))

    summary = send(
        _messages(files, counting=on_a_terminal() and quiet),
        host,
        port,
        connections=connections,
        rate=rate,
        tls=secured,
        timeout=timeout,
        on_answer=show,
    )
    click.echo(_document(summary) if as_document else _sentence(summary))
    context.exit(0 if summary.accepted and summary.sent else 1)


def _address(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise click.UsageError(f"--to takes HOST:PORT, such as 127.0.0.1:2575, not {target}")
    return host.strip("[]"), int(port)


def _tls(ca: Path | None, certificate: Path | None, key: Path | None, *, insecure: bool) -> ssl.SSLContext:
    from hl7_listener.client import tls_context  # noqa: PLC0415

    try:
        return tls_context(ca, certificate, key, insecure=insecure)
    except (OSError, ssl.SSLError) as error:
        raise click.ClickException(f"the TLS files cannot be used ({type(error).__name__}): check --tls-*") from None


def _messages(files: tuple[Path, ...], *, counting: bool) -> Iterator[bytes]:
    from hl7_listener.message_files import read_messages  # noqa: PLC0415

    messages = chain.from_iterable(read_messages(file) for file in files)
    if not counting:
        yield from messages
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import track  # noqa: PLC0415

    everything = list(messages)
    yield from track(everything, "sending", console=Console(stderr=True))


def _line(answer: Answer) -> str:
    again = f" (sent {answer.sendings} times)" if answer.sendings > 1 else ""
    return printable(f"{answer.control_id or '-'}  {answer.code or 'no answer due'}  {answer.text}{again}".rstrip())


def _sentence(summary: Summary) -> str:
    codes = (
        ", ".join(f"{count} {printable(code) or 'silent'}" for code, count in sorted(summary.codes.items()))
        or "no answer"
    )
    pace = f"{summary.sent / summary.seconds:.0f}/s" if summary.seconds else "at once"
    again = f", {summary.resent} sent again" if summary.resent else ""
    stopped = (
        f"\nStopped early: {summary.stopped}. What was not answered may be sent again safely."
        if summary.stopped
        else ""
    )
    return f"{summary.sent} messages in {summary.seconds:.1f} s ({pace}): {codes}{again}{stopped}"


def _document(summary: Summary) -> str:
    return json.dumps(
        {
            "sent": summary.sent,
            "codes": summary.codes,
            "resent": summary.resent,
            "seconds": round(summary.seconds, 3),
            "stopped": summary.stopped,
        }
    )

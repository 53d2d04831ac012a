"""``doorstep send``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec.structs import replace

from daemon.commands.mllp_target import address_of, tls_of, tls_options
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
@tls_options
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
    host, port = address_of(target, "--to")
    secured = tls_of(tls_ca, tls_cert, tls_key, tls=tls, insecure=tls_insecure)
    from hl7_listener.client import send  # noqa: PLC0415 (asyncio and python-hl7: not for --help)

    def show(answer: Answer) -> None:
        if not quiet and not as_document:
            click.echo(_line(answer))

    feed = _Feed(files)
    summary = send(
        _counted(feed) if on_a_terminal() and quiet else feed,
        host,
        port,
        connections=connections,
        rate=rate,
        tls=secured,
        timeout=timeout,
        on_answer=show,
    )
    summary = replace(summary, stopped=summary.stopped or feed.problem)
    click.echo(_document(summary) if as_document else _sentence(summary))
    if not summary.sent and not summary.stopped:
        from hl7_listener.message_files import SUFFIXES  # noqa: PLC0415

        click.echo(
            "Nothing was there to send: the files are empty, or no file of the folder ends in "
            f"{', '.join(sorted(SUFFIXES))} (name others one by one).",
            err=True,
        )
    context.exit(0 if summary.accepted and summary.sent else 1)


class _Feed:
    """The messages of files, up to the first thing that cannot be sent; ``problem`` says what that was.

    It ends there and no later: what follows may be about the same patient.
    """

    def __init__(self, files: tuple[Path, ...]) -> None:
        self._files = files
        self.problem = ""

    def __iter__(self) -> Iterator[bytes]:
        from hl7_listener.framing import FS, VT  # noqa: PLC0415
        from hl7_listener.message_files import CutShort, read_messages  # noqa: PLC0415

        for file in self._files:
            try:
                for number, message in enumerate(read_messages(file), 1):
                    if VT in message or FS in message:
                        self.problem = (
                            f"message {number} of {file} holds a byte that begins or ends a frame (0B or 1C), "
                            "take it out"
                        )
                        return
                    yield message
            except CutShort as error:
                self.problem = (
                    f"{file} has the beginnings of {error.count} messages whose frames do not end; these were not sent"
                )
                return
            except OSError as error:
                self.problem = f"{error.filename or file} cannot be read ({error.strerror})"
                return


def _counted(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Show how far it is, on a terminal."""
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

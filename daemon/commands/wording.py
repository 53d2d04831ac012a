"""``doorstep wording``: what patients are told, before they are."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from daemon.commands.shared_options import config_option, on_a_terminal, settings_of


@click.group("wording", epilog="Example: doorstep wording check")
def command() -> None:
    """Look at the messages' wording, the shipped and the hospital's own."""


@command.command("check", epilog="Example: doorstep wording check --pictures /tmp/letters")
@config_option
@click.option("--pictures", type=click.Path(file_okay=False, path_type=Path), help="Keep pictures of letters there.")
@click.option("--json", "as_document", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def check(context: click.Context, config: Path | None, pictures: Path | None, *, as_document: bool) -> None:
    """Write every message for an invented patient; show sizes, pictures of letters, and what is wrong.

    Exit status 1 when there is a fault; what only costs more is a warning.
    """
    settings = settings_of(context, config)
    import msgspec  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from daemon.wording_report import lines, report  # noqa: PLC0415 (heavy: not for --help)

    folder = pictures or Path(tempfile.mkdtemp(prefix="doorstep-wording-"))
    folder.mkdir(parents=True, exist_ok=True)
    with Progress(console=Console(stderr=True), disable=not on_a_terminal(), transient=True) as bar:
        task = bar.add_task("writing messages", total=None)
        found = report(settings, folder, lambda: bar.advance(task))
    if as_document:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        click.echo("\n".join(lines(found)))
    context.exit(1 if found.faults else 0)

"""``doorstep invite``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from daemon.commands.shared_options import config_option, failures_told, on_a_terminal, settings_of


@click.command("invite", epilog="Example: doorstep invite --dry-run")
@config_option
@click.option("--dry-run", is_flag=True, help="Only show whom it would invite, by channel, and why not the others.")
@click.option("--limit", type=click.IntRange(min=1), help="Invite no more than so many people.")
@click.option("--json", "as_document", is_flag=True, help="Print the numbers as JSON.")
@click.pass_context
def command(
    context: click.Context, config: Path | None, limit: int | None, *, dry_run: bool, as_document: bool
) -> None:
    """Find the people who may be invited and invite them, once, now; the daemon delivers."""
    settings = settings_of(context, config)
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from daemon.bootstrap import build  # noqa: PLC0415
    from daemon.reports import funnel_table, preview  # noqa: PLC0415

    with failures_told():
        house = build(settings)
        try:
            if dry_run:
                numbers = preview(house, limit)
            else:
                with Progress(console=Console(stderr=True), disable=not on_a_terminal()) as bar:
                    task = bar.add_task("inviting", total=limit)
                    report = house.issue.run(limit=limit, progress=lambda done: bar.update(task, completed=done))
                numbers = preview(house, None)
                numbers["invited"] = dict(report.issued)
        finally:
            house.close()
    if as_document:
        click.echo(json.dumps(numbers, indent=2))
        return
    Console().print(funnel_table(numbers, dry_run=dry_run))

"""``doorstep demo``."""

from __future__ import annotations

import click


@click.command("demo", epilog="Example: doorstep demo --exit")
@click.option(
    "--exit", "leave", is_flag=True, help="End when everything is shown: status 0, or 1 if a step fell short."
)
@click.option("--patients", type=click.IntRange(20, 100_000), default=240, show_default=True, help="How many people.")
@click.pass_context
def command(context: click.Context, patients: int, *, leave: bool) -> None:
    """Show the main job with nothing configured: a real daemon, an invented feed, invitations you can look at."""
    from daemon.demo import demonstrate  # noqa: PLC0415 (everything: not for --help)

    context.exit(demonstrate(patients, stay=not leave))

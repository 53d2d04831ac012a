"""``doorstep serve``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from daemon.commands.shared_options import config_option, failures_told, settings_of


@click.command("serve", epilog="Example: doorstep serve --config /etc/doorstep/doorstep.toml")
@config_option
@click.pass_context
def command(context: click.Context, config: Path | None) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a second one ends it at once."""
    settings = settings_of(context, config, serving=True)
    from daemon import logs  # noqa: PLC0415 (not before the configuration is known to be sound)
    from daemon.supervisor import Supervisor  # noqa: PLC0415

    logs.configure(sys.stderr, json=not sys.stderr.isatty())
    with failures_told():
        try:
            status = asyncio.run(Supervisor(settings, os.environ).run())
        except OSError as error:
            raise click.ClickException(_port_fault(error)) from None
    context.exit(status)


def _port_fault(error: OSError) -> str:
    why = error.strerror or type(error).__name__
    return f"a port cannot be had ({why}): is another doorstep running, or something else on that port?"

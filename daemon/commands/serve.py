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
    from daemon.supervisor import PortFault, Supervisor  # noqa: PLC0415
    from hl7_listener.certificates import TlsFault  # noqa: PLC0415

    logs.configure(sys.stderr, json=not sys.stderr.isatty(), background=True)
    with failures_told():
        try:
            status = asyncio.run(Supervisor(settings, os.environ).run())
        except PortFault as error:
            raise click.ClickException(f"{error}: is another doorstep running, or something else there?") from None
        except TlsFault as error:
            raise click.ClickException(f"listeners.tls.{error.setting} {error.wrong}. {error.mend}") from None
        except OSError as error:
            raise click.ClickException(_system_fault(error)) from None
    if not logs.flush(logs.LAST_WORDS):
        os._exit(status)  # nobody reads the log: the interpreter's own end would wait for it
    context.exit(status)


def _system_fault(error: OSError) -> str:
    why = error.strerror or type(error).__name__
    return f"{error.filename}: {why}" if error.filename else f"the system refused something ({why})"

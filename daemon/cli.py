"""``doorstep``: one console script for everything (SPEC 1).

Exit status 0: done; 1: it failed, and a sentence on standard error says what to do next; 2: wrong use. A command's
module is imported when the command is called.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Final

import click

_COMMANDS: Final = {
    "demo": "Show the whole way with nothing configured.",
    "init": "Write a commented doorstep.toml and a new key file.",
    "serve": "Run the daemon: listeners, scheduler, dispatcher, web.",
    "check-config": "Show all faults of the configuration at once.",
    "migrate": "Bring the database to the program's version.",
    "send": "Send HL7 messages over MLLP and print each answer.",
    "import-csv": "Make or update people from a CSV file, by the rules of an A28.",
    "quarantine": "Look at, mend, apply or discard what waits for a person.",
    "replay": "Apply stored messages again: what could not be applied when it came.",
    "fake-providers": "Run providers that deliver to nobody, for trial and tests.",
    "describe-feed": "Describe what each sender really sends, and draft its profile.",
    "findings": "Show each sender's report: which rules of HL7 it breaks, where, how often.",
    "acceptance": "Play nasty cases against any MLLP listener.",
    "invite": "Find the people who may be invited and invite them, once, now.",
    "explain": "Tell one patient's story: messages, invitations, and why or why not.",
    "person": "Decide about one person: hold, release, exclude, opt out, revoke pairs.",
    "contacts": "Numbers and addresses that messages do not reach.",
    "pause": "Stop invitations, or every message, in every daemon within a second.",
    "resume": "End a pause, or let the others go who wait for a canary.",
    "staff": "Accounts of Team Coordinators, who work on the staff pages.",
    "audit": "Show the audit trail, and prove that nothing in it was changed.",
    "wording": "Look at what patients are told: write every message once, and show what is wrong.",
    "client": "Make, list and revoke System Clients: the systems that may call the API.",
    "status": "Show what the running daemon does, read from its database.",
}


class _Lazy(click.Group):
    """Knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        del ctx
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import the command's module."""
        del ctx
        if name not in _COMMANDS:
            return None
        module = importlib.import_module(f"daemon.commands.{name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them without importing any."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]}, epilog="Example: doorstep demo")
@click.version_option(package_name="doorstep")
@click.option(
    "--config",
    "config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file (default: $DOORSTEP_CONFIG, else ./doorstep.toml, else built-in defaults).",
)
@click.pass_context
def doorstep(context: click.Context, config: Path | None) -> None:
    """From the ADT feed to the patient's doorstep."""
    context.obj = config


def main() -> None:
    """Run the command line; gives the exit status to the shell."""
    try:
        status = doorstep(standalone_mode=False)  # gives what a command passed to ``context.exit``, else None
        sys.exit(status if isinstance(status, int) else 0)
    except click.Abort:
        click.echo("Stopped.", err=True)
        sys.exit(1)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)

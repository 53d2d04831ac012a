"""``doorstep check-config``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from daemon.commands.shared_options import config_option
from daemon.join_wording import refuse_faulty_pages
from daemon.settings import ConfigurationFaults, as_json, find, for_people, load
from daemon.settings.certificates import soon_expired
from daemon.wording_files import own_templates, refuse_faulty_wording


@click.command("check-config", epilog="Example: doorstep check-config --config /etc/doorstep/doorstep.toml")
@config_option
@click.option("--json", "as_document", is_flag=True, help="Print the faults as JSON.")
@click.pass_context
def command(context: click.Context, config: Path | None, *, as_document: bool) -> None:
    """Show all faults of the configuration at once, each with file, key and mend."""
    path = config or context.find_root().obj
    try:
        settings = load(path, os.environ, serving=True)
        refuse_faulty_wording(settings)
        refuse_faulty_pages(settings)
    except ConfigurationFaults as error:
        click.echo(as_json(error.faults) if as_document else for_people(error.faults), err=not as_document)
        context.exit(1)
    for listener, left in soon_expired(settings, datetime.now(UTC)):
        click.echo(f"warning: the certificate of listener {listener.name} expires in {left.days} days", err=True)
    if as_document:
        click.echo("[]")
        return
    found = find(path, os.environ, Path.cwd())
    listeners = ", ".join(f"{one.name} on {one.host}:{one.port}" for one in settings.listeners)
    own = len(own_templates(settings))
    wording = (
        f"{own} {'template' if own == 1 else 'templates'} of your own in {settings.wording.folder}"
        if own
        else "as shipped"
    )
    click.echo(
        f"{found or 'built-in defaults'}: no faults. Listeners: {listeners}. "
        f"Database: {settings.database.location}. Wording: {wording}."
    )

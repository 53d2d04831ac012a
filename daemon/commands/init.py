"""``doorstep init``."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.commands.shared_options import failures_told
from daemon.initialise import AlreadyThere, initialise
from daemon.settings import load
from patient_records.keys import make_key_file


@click.command("init", epilog="Example: doorstep init /etc/doorstep")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path), default=Path())
def command(directory: Path) -> None:
    """Write a commented doorstep.toml and a new key file (mode 0600) into DIRECTORY; nothing is ever overwritten."""
    with failures_told():
        try:
            written = initialise(directory)
        except (AlreadyThere, OSError) as error:
            raise click.ClickException(str(error)) from None
        settings = load(directory / "doorstep.toml", {})
        make_key_file(settings.keys.file, [organisation.code for organisation in settings.all_organisations])
    for file in (*written, settings.keys.file):
        click.echo(f"wrote {file}")
    click.echo(
        f"Next: edit {directory / 'doorstep.toml'}, then: doorstep check-config, doorstep serve. "
        "Back the key file up apart from the database: without it nobody can be found again."
    )

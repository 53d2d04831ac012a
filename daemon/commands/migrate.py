"""``doorstep migrate``."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.commands.shared_options import config_option, failures_told, settings_of


@click.command("migrate", epilog="Example: doorstep migrate --config /etc/doorstep/doorstep.toml")
@config_option
@click.pass_context
def command(context: click.Context, config: Path | None) -> None:
    """Bring the database to the program's version. Safe to call twice, and while another call is at it."""
    settings = settings_of(context, config)
    from daemon.migrate import migrate  # noqa: PLC0415 (SQLAlchemy: not for --help)
    from patient_records.unit_of_work import Database  # noqa: PLC0415

    with failures_told():
        database = Database(settings.database.url.reveal())
        try:
            applied = migrate(database)
        finally:
            database.close()
    for revision in applied:
        click.echo(f"applied {revision}")
    click.echo(f"{settings.database.location} is at the program's version.")

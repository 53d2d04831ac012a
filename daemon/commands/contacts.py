"""``doorstep contacts``: numbers and addresses that messages do not reach."""

from __future__ import annotations

import json
from pathlib import Path

import click

from daemon.commands.shared_options import config_option, failures_told, operator, require_database, settings_of


@click.group("contacts", epilog="Example: doorstep contacts bad --csv bad-contacts.csv")
def command() -> None:
    """Numbers and addresses that messages do not reach."""


@command.command("bad", epilog="Example: doorstep contacts bad --csv bad-contacts.csv")
@config_option
@click.option(
    "--csv", "file", type=click.Path(dir_okay=False, path_type=Path), help="Write the people to this file, in clear."
)
@click.option("--json", "as_document", is_flag=True, help="Print the numbers as JSON.")
@click.pass_context
def bad(context: click.Context, config: Path | None, *, file: Path | None, as_document: bool) -> None:
    """Count bad contacts; with --csv list their people for those who keep the hospital's records.

    The file names people in clear: only its owner may read it, and each list is audited. Delete it after use.
    """
    settings = settings_of(context, config)
    require_database(settings)
    from daemon import bad_contacts_list  # noqa: PLC0415 (the whole house: not for --help)
    from daemon.bootstrap import build  # noqa: PLC0415
    from invites import bad_contacts  # noqa: PLC0415
    from patient_records.audit import Actor, AuditEntry  # noqa: PLC0415
    from patient_records.audit_actions import Action, ActorKind  # noqa: PLC0415

    written = None
    with failures_told():
        house = build(settings)
        try:
            with house.database.read() as connection:
                counts = bad_contacts.count_bad(connection)
            if file is not None:
                with house.database.begin() as connection:  # audited first: a list that nobody knows of must not be
                    now = house.database.now(connection)
                    entry = AuditEntry(
                        Actor(ActorKind.OPERATOR, operator()),
                        Action.CONTACTS_LISTED,
                        detail={"count": sum(counts.values())},
                    )
                    house.audit.append(connection, [entry], now)
                written = bad_contacts_list.write_csv(file, bad_contacts_list.lines(house.database, house.records))
        except OSError as error:
            raise click.ClickException(f"{file} cannot be written ({error.strerror}): name another file") from None
        finally:
            house.close()
    if as_document:
        click.echo(json.dumps({"bad": counts, "listed": written}, indent=2))
        return
    for channel, count in sorted(counts.items()):
        click.echo(f"{channel}: {count} bad")
    if not counts:
        click.echo("No contact is known to be bad.")
    if written is not None:
        click.echo(f"{written} listed in {file}: it names people in clear, so delete it after use")

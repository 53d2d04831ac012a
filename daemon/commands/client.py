"""``doorstep client``: the System Clients of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from daemon.commands.shared_options import config_option, failures_told, require_database, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import TypeVar

    from sqlalchemy import Connection

    from daemon.bootstrap import House
    from daemon.settings import Settings
    from web.access.clients import Client

    T = TypeVar("T")

_LONGEST_NAME = 64


@click.group("client", epilog='Example: doorstep client add "Print house" --organisation RX1')
def command() -> None:
    """Make, list and revoke System Clients: the systems that may call the API."""


@command.command("add", epilog='Example: doorstep client add "Print house" --organisation RX1 --json')
@click.argument("name")
@click.option("--organisation", required=True, metavar="CODE", help="The organisation whose rights it has.")
@click.option(
    "--scope",
    type=click.Choice(["system", "coordinator", "status"]),
    default="system",
    show_default=True,
    help="What it may do; status: only ask who is known, invited or registered, and get no pairs.",
)
@config_option
@click.option("--json", "as_document", is_flag=True, help="Print client_id and client_secret as JSON.")
@click.pass_context
def add(
    context: click.Context, *, name: str, organisation: str, scope: str, config: Path | None, as_document: bool
) -> None:
    """Make a System Client called NAME and print its secret, this once."""
    settings = settings_of(context, config)
    label = _label(name)
    codes = [one.code for one in settings.all_organisations]
    if organisation not in codes:
        raise click.UsageError(f"--organisation {organisation} is not configured: use one of {', '.join(codes)}")

    def work(house: House, connection: Connection, now: datetime) -> tuple[str, str]:
        from daemon import system_clients  # noqa: PLC0415
        from web.access.clients import Scope  # noqa: PLC0415

        made = system_clients.add(house, connection, label, organisation, scope=Scope(scope), now=now)
        return made.client.client_id, made.secret

    client_id, secret = _in_database(settings, work)
    if as_document:
        click.echo(json.dumps({"client_id": client_id, "client_secret": secret}))
    else:
        click.echo(f"client_id:     {client_id}\nclient_secret: {secret}")
        click.echo("The secret is shown this once and kept nowhere: put it where the system reads it.", err=True)


@command.command("list", epilog="Example: doorstep client list --json")
@config_option
@click.option("--json", "as_document", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def list_(context: click.Context, *, config: Path | None, as_document: bool) -> None:
    """List all clients, personal ones and revoked ones included; never a secret."""
    from web.access import clients  # noqa: PLC0415 (SQLAlchemy: not for --help)

    found = _in_database(settings_of(context, config), lambda _house, connection, _now: clients.every(connection))
    if as_document:
        click.echo(json.dumps([_document(client) for client in found], indent=2))
        return
    for client in found:
        click.echo(_line(client))
    if not found:
        click.echo('none yet: doorstep client add "NAME" --organisation CODE', err=True)


@command.command("revoke", epilog="Example: doorstep client revoke 0123456789abcdef0123456789abcdef")
@click.argument("client_id")
@config_option
@click.pass_context
def revoke(context: click.Context, *, client_id: str, config: Path | None) -> None:
    """End the client CLIENT_ID and every bearer that it holds, at once."""
    from daemon.operator_name import operator  # noqa: PLC0415 (SQLAlchemy: not for --help)
    from patient_records.audit import AuditEntry  # noqa: PLC0415
    from patient_records.audit_actions import Action  # noqa: PLC0415
    from web.access import clients  # noqa: PLC0415

    def work(house: House, connection: Connection, now: datetime) -> Client | None:
        found = clients.find(connection, client_id.strip())
        if found is not None and found.revoked_at is None:
            clients.revoke(connection, found, now)
            detail = {"client": found.client_id}
            entry = AuditEntry(operator(), Action.CLIENT_REVOKED, found.organisation, detail=detail)
            house.audit.append(connection, [entry], now)
        return found

    found = _in_database(settings_of(context, config), work)
    if found is None:
        raise click.ClickException("there is no such client: doorstep client list shows all of them")
    again = "was revoked before" if found.revoked_at is not None else "is revoked"
    click.echo(f"{found.label} ({found.client_id}) {again}")


def _in_database(settings: Settings, work: Callable[[House, Connection, datetime], T]) -> T:
    """Do the work in one transaction of the configured database, which must be there and at head."""
    require_database(settings)
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)

    with failures_told():
        house = build(settings)
        try:
            with house.database.begin() as connection:
                return work(house, connection, house.database.now(connection))
        finally:
            house.close()


def _label(name: str) -> str:
    label = " ".join(name.split())
    if not label or len(label) > _LONGEST_NAME or not label.isprintable():
        raise click.UsageError(f"NAME must be 1 to {_LONGEST_NAME} printable characters, such as 'Print house'")
    return label


def _document(client: Client) -> dict[str, object]:
    return {
        "client_id": client.client_id,
        "name": client.label,
        "organisation": client.organisation,
        "scope": client.scope.value,
        "personal": client.staff_id is not None,
        "created_at": client.created_at.isoformat(),
        "last_used_at": client.last_used_at.isoformat() if client.last_used_at else None,
        "revoked_at": client.revoked_at.isoformat() if client.revoked_at else None,
    }


def _line(client: Client) -> str:
    state = f"revoked {client.revoked_at:%Y-%m-%d}" if client.revoked_at else "good"
    used = f"last bearer {client.last_used_at:%Y-%m-%d %H:%MZ}" if client.last_used_at else "never used"
    personal = ", personal" if client.staff_id is not None else ""
    return f"{client.client_id}  {client.organisation}  {client.scope}{personal}  {state}, {used}  {client.label}"

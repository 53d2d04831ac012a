"""``doorstep staff``."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from daemon.commands.shared_options import config_option, failures_told, require_database, settings_of

if TYPE_CHECKING:
    from daemon.bootstrap import House
    from patient_records.audit import Actor
    from web.ops.accounts import OneTime, StaffAccount


@click.group("staff", epilog="Example: doorstep staff add anna.smith --organisation RX1")
def command() -> None:
    """Accounts of Team Coordinators, who work on the staff pages of the api port (/staff)."""


@command.command("add", epilog="Example: doorstep staff add anna.smith --organisation RX1")
@config_option
@click.argument("name")
@click.option("--organisation", required=True, help="The code of the organisation whose patients they look after.")
@click.option("--json", "as_document", is_flag=True, help="Print login and one-time password as JSON.")
@click.pass_context
def add(context: click.Context, config: Path | None, name: str, *, organisation: str, as_document: bool) -> None:
    """Make an account. Prints its one-time password, once: the first login asks for another one."""
    from web.ops.accounts import AccountExists  # noqa: PLC0415

    with _house(context, config) as house:
        if organisation not in house.invite_options.organisations:
            known = ", ".join(sorted(house.invite_options.organisations))
            raise click.UsageError(f"no organisation {organisation} is configured; there are: {known}")
        try:
            made = house.staff.add(name, organisation, _operator())
        except AccountExists:
            raise click.ClickException(
                f"there is an account {name} already: doorstep staff reset {name} gives it a new password"
            ) from None
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        house.audit_sealing()
    _show(made, as_document=as_document)


@command.command("reset", epilog="Example: doorstep staff reset anna.smith")
@config_option
@click.argument("name")
@click.option("--json", "as_document", is_flag=True, help="Print login and one-time password as JSON.")
@click.pass_context
def reset(context: click.Context, config: Path | None, name: str, *, as_document: bool) -> None:
    """Give an account a new one-time password; ends its sessions, lifts its lockout, enables it again."""
    with _house(context, config) as house, _known(name):
        made = house.staff.reset(name, _operator())
        house.audit_sealing()
    _show(made, as_document=as_document)


@command.command("disable", epilog="Example: doorstep staff disable anna.smith")
@config_option
@click.argument("name")
@click.pass_context
def disable(context: click.Context, config: Path | None, name: str) -> None:
    """End an account, its sessions and its personal clients at once."""
    with _house(context, config) as house, _known(name):
        with house.database.begin() as connection:
            account = house.staff.disable(connection, name, _operator(), house.database.now(connection))
        house.audit_sealing()
    click.echo(f"{account.login} is disabled.")


@command.command("unlock", epilog="Example: doorstep staff unlock anna.smith")
@config_option
@click.argument("name")
@click.pass_context
def unlock(context: click.Context, config: Path | None, name: str) -> None:
    """Lift a lockout (five wrong passwords) before its quarter of an hour is over."""
    with _house(context, config) as house, _known(name):
        with house.database.begin() as connection:
            account = house.staff.unlock(connection, name, _operator(), house.database.now(connection))
        house.audit_sealing()
    click.echo(f"{account.login} may try again.")


@command.command("list", epilog="Example: doorstep staff list --json")
@config_option
@click.option("--json", "as_document", is_flag=True, help="Print the accounts as JSON.")
@click.pass_context
def list_(context: click.Context, config: Path | None, *, as_document: bool) -> None:
    """Show all accounts."""
    from web.ops import accounts  # noqa: PLC0415

    with _house(context, config) as house, house.database.read() as connection:
        now = house.database.now(connection)
        found = accounts.every(connection)
    if as_document:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    lines = [f"{one.id}  {one.login}  {one.organisation}  {_state(one, now)}" for one in found]
    click.echo("\n".join(lines) or "There is no account: doorstep staff add NAME --organisation CODE makes one.")


@contextlib.contextmanager
def _house(context: click.Context, config: Path | None) -> Iterator[House]:
    settings = settings_of(context, config)
    require_database(settings)
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)

    with failures_told():
        house = build(settings)
        try:
            yield house
        finally:
            house.close()


@contextlib.contextmanager
def _known(name: str) -> Iterator[None]:
    try:
        yield
    except (LookupError, ValueError):
        raise click.ClickException(f"there is no account {name}: doorstep staff list shows all") from None


def _operator() -> Actor:
    from daemon.operator_name import operator  # noqa: PLC0415 (SQLAlchemy: not for --help)

    return operator()


def _show(made: OneTime, *, as_document: bool) -> None:
    if as_document:
        document = {"login": made.account.login, "one_time_password": made.password, "until": made.until.isoformat()}
        click.echo(json.dumps(document))
        return
    click.echo(f"Login:              {made.account.login}")
    click.echo(f"One-time password:  {made.password}")
    click.echo(
        f"It is shown this once and works until {made.until:%Y-%m-%d %H:%M}Z. Log in below /staff on the api port; "
        "the first login asks for a password of their own."
    )


def _state(account: StaffAccount, now: datetime) -> str:
    if account.disabled_at is not None:
        return "disabled"
    if account.locked_until is not None and account.locked_until > now:
        return f"locked until {account.locked_until:%Y-%m-%d %H:%M}Z"
    if account.must_set_password:
        return "has not set a password yet"
    return f"last login {account.last_login_at:%Y-%m-%d %H:%M}Z" if account.last_login_at else "never logged in"

"""``doorstep resume``: ends a pause, or lets the others go who wait for a canary."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.commands.shared_options import config_option, failures_told, operator, require_database, settings_of


@click.command("resume", epilog="Example: doorstep resume --organisation RX1 --channel sms")
@config_option
@click.option("--organisation", default="", help="The organisation that was paused (code); otherwise all at once.")
@click.option("--channel", type=click.Choice(["sms", "email", "letter"]), help="The channel that was paused.")
@click.option("--canary", "canary_too", is_flag=True, help="Let the others go who wait for the canary.")
@click.pass_context
def command(
    context: click.Context, config: Path | None, *, organisation: str, channel: str | None, canary_too: bool
) -> None:
    """End the pause of just that organisation and channel; an automatic one judges anew from now.

    Status 1 when there is no such pause: doorstep status shows those that there are.
    """
    settings = settings_of(context, config)
    require_database(settings)
    codes = [one.code for one in settings.all_organisations]
    if organisation and organisation not in codes:
        raise click.UsageError(f"there is no organisation {organisation}: choose one of {', '.join(codes)}")
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from invites import canary, gate  # noqa: PLC0415
    from patient_records.audit import Actor, AuditEntry  # noqa: PLC0415
    from patient_records.audit_actions import Action, ActorKind  # noqa: PLC0415

    with failures_told():
        house = build(settings)
        try:
            with house.database.begin() as connection:
                now = house.database.now(connection)
                if canary_too:
                    which = [organisation] if organisation else codes
                    ended = sum(canary.let_go(connection, code, canary.BY_COMMAND, now) for code in which)
                else:
                    today = house.invite_options.today_of(organisation, now)
                    ended = int(gate.lift(connection, organisation, channel or "", today))
                if ended:
                    detail = {"channel": channel or "all", "scope": "canary" if canary_too else "invitations"}
                    actor = Actor(ActorKind.OPERATOR, operator())
                    entry = AuditEntry(actor, Action.INVITATIONS_RESUMED, organisation, detail=detail)
                    house.audit.append(connection, [entry], now)
        finally:
            house.close()
    if not ended:
        what = "canary that anybody waits for" if canary_too else "pause of just that organisation and channel"
        raise click.ClickException(f"there is no {what}: doorstep status shows what there is")
    click.echo("Let go: the others are invited from the next run on." if canary_too else "Resumed.")

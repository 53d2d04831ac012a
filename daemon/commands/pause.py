"""``doorstep pause``: invitations stand still, or with ``--everything`` every message, within a second."""

from __future__ import annotations

from pathlib import Path

import click

from daemon.commands.shared_options import config_option, failures_told, operator, require_database, settings_of

LONGEST_REASON = 200


@click.command("pause", epilog='Example: doorstep pause --channel sms --reason "the gateway sends twice"')
@config_option
@click.option("--reason", required=True, help="Why; it is shown and kept in clear: name no patient.")
@click.option("--organisation", default="", help="Only this organisation (code); otherwise all.")
@click.option("--channel", type=click.Choice(["sms", "email", "letter"]), help="Only this channel; otherwise all.")
@click.option("--everything", is_flag=True, help="Stop every message, those of accounts as well.")
@click.pass_context
def command(
    context: click.Context,
    config: Path | None,
    *,
    reason: str,
    organisation: str,
    channel: str | None,
    everything: bool,
) -> None:
    """Stop invitations and reminders in every daemon within a second, until doorstep resume.

    None is issued and none is sent: what was claimed is queued again. A message whose call has begun cannot be stopped.
    """
    settings = settings_of(context, config)
    require_database(settings)
    codes = [one.code for one in settings.all_organisations]
    if organisation and organisation not in codes:
        raise click.UsageError(f"there is no organisation {organisation}: choose one of {', '.join(codes)}")
    if not reason.strip() or len(reason) > LONGEST_REASON or not reason.isprintable():
        raise click.UsageError(f"write a reason of one line, no longer than {LONGEST_REASON} characters")
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from invites import pauses  # noqa: PLC0415
    from patient_records.audit import Actor, AuditEntry  # noqa: PLC0415
    from patient_records.audit_actions import Action, ActorKind  # noqa: PLC0415

    with failures_told():
        house = build(settings)
        try:
            with house.database.begin() as connection:
                now = house.database.now(connection)
                pause = pauses.Pause(organisation, channel or "", everything, pauses.OPERATOR, reason.strip(), now)
                pauses.put(connection, pause)
                detail = {"channel": channel or "all", "scope": "everything" if everything else "invitations"}
                actor = Actor(ActorKind.OPERATOR, operator())
                entry = AuditEntry(actor, Action.INVITATIONS_PAUSED, organisation, detail=detail)
                house.audit.append(connection, [entry], now)
        finally:
            house.close()
    what = "every message" if everything else "invitations and reminders"
    click.echo(f"Paused: {what} of {organisation or 'all organisations'} by {channel or 'all channels'}.")
    click.echo("doorstep status shows it; doorstep resume, with the same options, ends it.")

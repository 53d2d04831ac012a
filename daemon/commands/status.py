"""``doorstep status``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from daemon.commands.shared_options import config_option, failures_told, require_database, settings_of

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.vital_signs import SenderSigns, VitalSigns
    from invites.pauses import Pause


@click.command("status", epilog="Example: doorstep status --json")
@config_option
@click.option("--json", "as_document", is_flag=True, help="Print everything as JSON.")
@click.pass_context
def command(context: click.Context, config: Path | None, *, as_document: bool) -> None:
    """Show what the running daemon does, read from its database; status 1 when none is running."""
    settings = settings_of(context, config)
    require_database(settings)
    from daemon import migrate, vital_signs  # noqa: PLC0415 (SQLAlchemy: not for --help)
    from patient_records.unit_of_work import Database  # noqa: PLC0415

    with failures_told():
        database = Database(settings.database.url.reveal())
        try:
            migrate.require_head(database, migrate_on_start=False)
            with database.read() as connection:
                now = database.now(connection)
                signs = vital_signs.read(connection, now)
        finally:
            database.close()
    if as_document:
        click.echo(msgspec.json.format(msgspec.json.encode(signs), indent=2).decode())
    else:
        click.echo("\n".join(_lines(signs, now)))
    context.exit(0 if any(daemon.state == "running" for daemon in signs.daemons) else 1)


def _lines(signs: VitalSigns, now: datetime) -> list[str]:
    lines = [
        f"daemon {daemon.version}: {daemon.state}, started {_when(daemon.started_at)}, seen {_when(daemon.seen_at)}"
        for daemon in signs.daemons[:3]
    ] or ["no daemon has run on this database yet: doorstep serve"]
    lines += _certificates(signs, now)
    lines.append(
        f"messages: {signs.messages} in all, {signs.messages_per_second_1m}/s over 1 min, "
        f"{signs.messages_per_second_5m}/s over 5 min; quarantine: {signs.quarantine_waiting} waiting"
    )
    lines += [line for sender in signs.senders for line in _sender_lines(sender, now)]
    people = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(signs.invites.people.items()))
    lines.append(f"people: {people or 'none yet'}")
    for channel, states in sorted(signs.invites.entries.items()):
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        lines.append(f"  {channel}: {counts}")
        if said := signs.invites.receipts.get(channel):
            receipts = ", ".join(f"{count} {state}" for state, count in sorted(said.items()))
            lines.append(f"    receipts: {receipts}")
    lines += [_pause(pause) for pause in signs.invites.pauses]
    lines += [
        f"CANARY of {one.organisation}: {one.issued} invited, the others wait (doorstep resume --canary)"
        for one in signs.invites.canaries
        if one.passed_at is None
    ]
    if bad := signs.invites.bad_contacts:
        counts = ", ".join(f"{count} for {channel}" for channel, count in sorted(bad.items()))
        lines.append(f"bad contacts: {counts} (doorstep contacts bad)")
    oldest = signs.invites.oldest_waiting
    lines.append(f"outbox: oldest waiting entry {f'{_ago(now, oldest)} old' if oldest else 'none'}")
    if signs.invites.for_a_person:
        lines.append(f"  {signs.invites.for_a_person} of unknown outcome wait for a person")
    return lines


def _sender_lines(sender: SenderSigns, now: datetime) -> Iterator[str]:
    yield f"  {sender.listener}  {sender.sender}: {sender.messages} messages, last {_ago(now, sender.last_at)} ago"
    if sender.silent_since is not None:
        yield f"    SILENT: in such a time {sender.usual_messages} messages or more came in its last weeks"
    if sender.last_gap_at is not None:
        yield (
            f"    sequence numbers (MSH-13): {sender.sequence_gaps} gaps, {sender.sequence_missing} numbers missing, "
            f"the last gap {_ago(now, sender.last_gap_at)} ago"
        )


def _certificates(signs: VitalSigns, now: datetime) -> list[str]:
    """When certificates of running daemons end, if that is soon."""
    from hl7_listener.certificates import SOON  # noqa: PLC0415

    return [
        f"certificate of listener {one.listener}: expires {_when(one.expires_at)}, "
        + (f"in {(one.expires_at - now).days} days" if one.expires_at > now else "which is past")
        for one in signs.certificates
        if one.expires_at - now <= SOON
    ]


def _pause(pause: Pause) -> str:
    what = "every message" if pause.everything else "invitations"
    where = f"{pause.organisation or 'all organisations'}, {pause.channel or 'all channels'}"
    return f"PAUSED since {_when(pause.since)} ({pause.origin}): {what} of {where}: {pause.reason}"


def _when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")


def _ago(now: datetime, then: datetime) -> str:
    seconds = max(0, int((now - then).total_seconds()))
    if seconds < 120:  # noqa: PLR2004 (two minutes)
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"  # noqa: PLR2004 (two hours)

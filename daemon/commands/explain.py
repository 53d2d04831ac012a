"""``doorstep explain``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from daemon.commands.shared_options import config_option, failures_told, require_database, settings_of

if TYPE_CHECKING:
    from datetime import datetime

    from daemon.story import EffectStory, MessageStory, Story
    from invites.overview import ReceiptStory


@click.command("explain", epilog="Example: doorstep explain 9990000018")
@config_option
@click.argument("identifier")
@click.option("--json", "as_document", is_flag=True, help="Print the story as JSON.")
@click.pass_context
def command(context: click.Context, config: Path | None, identifier: str, *, as_document: bool) -> None:
    """Tell one patient's story: messages and what each changed, invitations, why or why not.

    IDENTIFIER is an NHS number, a local number, both also as in PID-3 (4711^^^RX1^MR), or doorstep's own id.
    """
    settings = settings_of(context, config)
    require_database(settings)
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from daemon.story import find, tell  # noqa: PLC0415

    with failures_told():
        house = build(settings)
        try:
            with house.database.read() as connection:
                codes = list(house.invite_options.organisations)
                record_id = find(connection, house.records, identifier, codes)
                story = None if record_id is None else tell(connection, record_id)
        finally:
            house.close()
    if story is None:
        raise click.ClickException(
            "nobody is known by that identifier: try it as it stands in PID-3, with authority and type (4711^^^RX1^MR)"
        )
    if as_document:
        click.echo(msgspec.json.format(msgspec.json.encode(story), indent=2).decode())
        return
    click.echo("\n".join(_lines(story)))


def _lines(story: Story) -> list[str]:
    lines = [f"{story.id} of {story.organisation}: {story.state.replace('_', ' ')}"]
    lines += [f"  not invited now: {reason.sentence}" for reason in story.reasons]
    if story.merged:
        lines.append(f"  merged into it: {', '.join(story.merged)}")
    lines.append("Messages")
    for message in story.messages:
        what = ", ".join(message.changes) or "nothing changed"
        reason = f" ({message.reason})" if message.reason else ""
        again = _again(message.repeats)
        lines.append(
            f"  {_when(message.received_at)}  {message.event} {message.control_id or '-'} from {message.sender}: "
            f"{message.outcome}{reason}, {_answered(message)}; {what}{again}"
        )
        # A merge is told of both people in the same words: once is enough.
        lines += dict.fromkeys(f"    {_effect(effect)}" for effect in message.effects)
        lines += [f"    finding: {finding}" for finding in message.findings]
    lines.append("Invitations" if story.invitations else "No invitation.")
    for invitation in story.invitations:
        ended = f", ended: {invitation.end_reason}" if invitation.end_reason else ""
        lines.append(
            f"  {_when(invitation.created_at)}  {invitation.purpose} {invitation.number} by {invitation.channel}: "
            f"{invitation.state}{ended}; good until {_when(invitation.pair_expires_at)}"
        )
        lines += [
            f"    attempt {attempt.number} at {_when(attempt.started_at)}: {attempt.outcome or 'under way'}"
            + (f" ({attempt.code})" if attempt.code else "")
            for attempt in invitation.attempts
        ]
        lines += [_receipt(receipt) for receipt in invitation.receipts]
    lines += [
        f"Reminder {one.number}, decided {_when(one.decided_at)}: {one.outcome.replace('_', ' ')}"
        for one in story.reminders
    ]
    return lines


def _receipt(receipt: ReceiptStory) -> str:
    kind = f"{receipt.state} for good" if receipt.permanent else receipt.state
    code = f" ({receipt.code})" if receipt.code else ""
    again = _again(receipt.repeats)
    return f"    receipt of {_when(receipt.at)}: {kind}{code}{again}{'' if receipt.counts else '; overruled'}"


def _again(repeats: int) -> str:
    return f"; came {repeats} times more" if repeats > 1 else "; came once more" if repeats else ""


_ACTS = {
    "merged_into": "{record} was merged into {other}",
    "merged_from": "{other} was merged into {record}",
    "reversed_into": "the merge was turned round: {record}, which had been the survivor, was merged into {other}",
    "reversed_from": "the merge was turned round: {record} is the survivor of {other} now",
    "identifier_changed": "{record} goes on under another identifier",
    "deleted": "{record} was deleted",
    "made_anew": "{record} was made anew, for {other} had been deleted",
    "replaced": "{record}, deleted before, gave its identifiers to {other}",
    "linked": "{record} and {other} were linked; no data moved",
    "unlinked": "{record} and {other} are linked no longer",
}


def _effect(effect: EffectStory) -> str:
    return _ACTS[effect.act].format(record=effect.record, other=effect.other)


def _answered(message: MessageStory) -> str:
    return f"replay of {message.replay_of}" if message.replay_of else message.answer or "unanswered"


def _when(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%SZ")

"""``doorstep quarantine``: what waits for a person, looked at, mended, applied or discarded."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from daemon.commands.shared_options import (
    config_option,
    failures_told,
    json_text,
    operator,
    printable,
    require_database,
    settings_of,
)

if TYPE_CHECKING:
    from hl7_listener.resubmission import Curator, Resubmitted
    from patient_records.quarantine import Waiting

STATES: Final = ("waiting", "resubmitted", "discarded", "all")
_PAGE: Final = 500

_json_option = click.option("--json", "as_document", is_flag=True, help="Print JSON.")
_note_option = click.option("--note", default="", help="Why; kept sealed beside the entry.")


@click.group("quarantine", epilog="Example: doorstep quarantine list")
def command() -> None:
    """Look at what waits for a person: bad frames, unreadable, refused and held messages."""


@command.command("list", epilog="Example: doorstep quarantine list --sender PAS/RX1")
@config_option
@click.option("--state", type=click.Choice(STATES), default="waiting", help="Which entries (waiting).")
@click.option("--sender", default="", help="Only those of this sender, as MSH-3/MSH-4.")
@click.option("--limit", type=click.IntRange(min=1), default=100, help="How many, the oldest first (100).")
@click.option("--after", type=int, default=0, help="Go on behind this id.")
@_json_option
@click.pass_context
def list_entries(
    context: click.Context,
    config: Path | None,
    *,
    state: str,
    sender: str,
    limit: int,
    after: int,
    as_document: bool,
) -> None:
    """List entries: when, from whom, what and why, never what is in them."""
    with _curator(context, config) as curator:
        wanted = None if state == "all" else state
        entries = curator.page(state=wanted, sender=sender, after=after, size=limit)
    if as_document:
        click.echo(_json([_facts(entry) for entry in entries]))
        return
    for entry in entries:
        click.echo(_line(entry))
    if not entries:
        click.echo("Nothing waits." if state == "waiting" else "No such entry.")
    elif len(entries) == limit:
        click.echo(f"More: doorstep quarantine list --after {entries[-1].id}")


@command.command("show", epilog="Example: doorstep quarantine show 456207625510912033")
@config_option
@click.argument("entry_id", type=int)
@click.option("--raw", "as_bytes", is_flag=True, help="Print the bytes as received and nothing else.")
@_json_option
@click.pass_context
def show_entry(
    context: click.Context, config: Path | None, entry_id: int, *, as_bytes: bool, as_document: bool
) -> None:
    """Show one entry with its message, in clear: this is audited."""
    with _curator(context, config) as curator:
        entry, raw, note = curator.show(entry_id)
    if as_bytes:
        sys.stdout.buffer.write(raw)
        return
    text = raw.decode("utf-8", "backslashreplace")
    if as_document:
        click.echo(_json({**_facts(entry), "note": note, "message": text}))
        return
    click.echo(_line(entry))
    if note:
        click.echo(f"  note: {note}")
    # Whatever a sender wrote must not steer the terminal.
    lines = text.replace("\r\n", "\r").replace("\n", "\r").split("\r")
    click.echo("\n".join(map(printable, lines)))


@command.command("resubmit", epilog="Example: doorstep quarantine resubmit 456207625510912033 --set PID.7=19700101")
@config_option
@click.argument("entry_ids", type=int, nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every waiting entry, as it is.")
@click.option("--sender", default="", help="With --all: only those of this sender, as MSH-3/MSH-4.")
@click.option(
    "--set", "mends", multiple=True, metavar="PLACE=VALUE", help="Mend a place first, such as PID.7=19700101."
)
@click.option("--listener", help="Take it as this listener would, where its own is not configured any more.")
@_note_option
@_json_option
@click.pass_context
def resubmit_entries(
    context: click.Context,
    config: Path | None,
    *,
    entry_ids: tuple[int, ...],
    everything: bool,
    sender: str,
    mends: tuple[str, ...],
    listener: str | None,
    note: str,
    as_document: bool,
) -> None:
    """Apply waiting messages after all, mended where you say so; what was received is kept, and so is what was applied.

    A message that is refused or held again changes nothing and goes on waiting (status 1).
    """
    if bool(entry_ids) == everything or (everything and mends):
        raise click.UsageError("name entries, or use --all (without --set)")
    with _curator(context, config) as curator:
        ids = _waiting_ids(curator, sender) if everything else entry_ids
        results = [_resubmit(curator, entry_id, mends, note, listener) for entry_id in ids]
    if as_document:
        click.echo(_json([msgspec.structs.asdict(result) for result in results]))
    else:
        for result in results:
            click.echo(_came_of(result))
        if not results:
            click.echo("Nothing waits.")
    context.exit(0 if all(result.accepted for result in results) else 1)


@command.command("discard", epilog='Example: doorstep quarantine discard 456207625510912033 --note "a test of the PAS"')
@config_option
@click.argument("entry_ids", type=int, nargs=-1, required=True)
@_note_option
@click.pass_context
def discard_entries(context: click.Context, config: Path | None, *, entry_ids: tuple[int, ...], note: str) -> None:
    """Let entries wait no more without applying them. Their bytes stay in the journal."""
    with _curator(context, config) as curator:
        for entry_id in entry_ids:
            curator.discard(entry_id, note)
            click.echo(f"{entry_id} discarded")


@contextlib.contextmanager
def _curator(context: click.Context, config: Path | None) -> Iterator[Curator]:
    settings = settings_of(context, config)
    require_database(settings)
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from daemon.curation import curator  # noqa: PLC0415
    from hl7_listener.resubmission import NotWaiting  # noqa: PLC0415

    with failures_told():
        house = build(settings)
        try:
            yield curator(house, operator())
        except NotWaiting as error:
            raise click.ClickException(str(error)) from None
        finally:
            house.close()


def _resubmit(curator: Curator, entry_id: int, mends: tuple[str, ...], note: str, listener: str | None) -> Resubmitted:
    from hl7_listener.errors import Unreadable  # noqa: PLC0415
    from hl7_listener.mending import MendFault, parse_mend  # noqa: PLC0415
    from hl7_listener.resubmission import NoListener  # noqa: PLC0415

    try:
        parsed = [parse_mend(text) for text in mends]
    except MendFault as fault:
        raise click.UsageError(str(fault)) from None
    try:
        return curator.resubmit(entry_id, parsed, note=note, listener=listener)
    except MendFault as fault:
        raise click.ClickException(f"{entry_id}: {fault}; nothing was changed") from None
    except Unreadable as error:
        raise click.ClickException(
            f"{entry_id}: there is no message to mend ({error.code}): discard it, or save it with "
            "show --raw, repair the file and send it"
        ) from None
    except NoListener as error:
        raise click.ClickException(f"{entry_id}: {error}: name one that is with --listener") from None


def _waiting_ids(curator: Curator, sender: str) -> Iterator[int]:
    """Give all that wait now; what goes on waiting is not given twice."""
    after = 0
    while page := curator.page(state="waiting", sender=sender, after=after, size=_PAGE):
        for entry in page:
            after = entry.id
            yield entry.id


def _line(entry: Waiting) -> str:
    what = " ".join(part for part in (entry.event, entry.control_id) if part) or "no header"
    decided = f"; {entry.state} {entry.decided_at:%Y-%m-%d %H:%M:%SZ}" if entry.decided_at else ""
    return (
        f"{entry.id}  {entry.received_at:%Y-%m-%d %H:%M:%SZ}  {entry.sender or '-'} on {entry.listener}  {what}  "
        f"{entry.answer or 'unanswered'}: {entry.reason}{decided}"
    )


def _came_of(result: Resubmitted) -> str:
    reason = f": {result.reason}" if result.reason else ""
    if not result.accepted:
        return f"{result.journal_id}  still waits, {result.outcome}{reason}"
    return f"{result.journal_id}  {result.outcome}{reason}; {', '.join(result.changes) or 'nothing changed'}"


def _facts(entry: Waiting) -> dict[str, object]:
    facts = msgspec.to_builtins(entry)
    return {**facts, "id": str(entry.id)}


def _json(document: object) -> str:
    return json_text(document, indent=2)

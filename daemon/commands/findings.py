"""``doorstep findings``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from daemon.commands.shared_options import config_option, failures_told, require_database, settings_of

if TYPE_CHECKING:
    from patient_records.findings import FindingCount


@click.command("findings", epilog="Example: doorstep findings --sender PAS/RX1")
@config_option
@click.option("--sender", help="Only those of this sender, as MSH-3/MSH-4.")
@click.option("--json", "as_document", is_flag=True, help="Print them as JSON.")
@click.pass_context
def command(context: click.Context, config: Path | None, *, sender: str | None, as_document: bool) -> None:
    """Show each sender's report: which rules of HL7 its messages break, where, and how often.

    Rules and places only, never what stands there. Which messages are checked is `listeners.validation`.
    """
    settings = settings_of(context, config)
    require_database(settings)
    from daemon import migrate  # noqa: PLC0415 (SQLAlchemy: not for --help)
    from patient_records import findings  # noqa: PLC0415
    from patient_records.unit_of_work import Database  # noqa: PLC0415

    with failures_told():
        database = Database(settings.database.url.reveal())
        try:
            migrate.require_head(database, migrate_on_start=False)
            with database.read() as connection:
                found = findings.report(connection, sender)
        finally:
            database.close()
    if as_document:
        click.echo(msgspec.json.format(msgspec.json.encode([_row(one) for one in found]), indent=2).decode())
    else:
        click.echo("\n".join(_lines(found)) or _nothing(sender))


def _nothing(sender: str | None) -> str:
    of = f" of {sender}" if sender else ""
    return f"no findings{of}: nothing checked yet, or all of it conformant (doorstep status says who was heard)"


def _row(one: FindingCount) -> dict[str, object]:
    from patient_records.instants import from_micros  # noqa: PLC0415

    return {
        "sender": one.sender,
        "rule": one.rule,
        "place": one.place,
        "count": one.count,
        "first_at": from_micros(one.first_at),
        "last_at": from_micros(one.last_at),
        "last_message": str(one.last_journal_id),
    }


def _lines(found: Sequence[FindingCount]) -> Iterator[str]:
    from patient_records.instants import from_micros  # noqa: PLC0415

    for sender, own in groupby(found, key=lambda one: one.sender):
        yield sender or "(no sender)"
        for one in own:
            last = from_micros(one.last_at).strftime("%Y-%m-%d %H:%M:%SZ")
            place = one.place or "the message"
            yield f"  {one.count:>8}  {place:<12} {one.rule:<20} last {last}, message {one.last_journal_id}"

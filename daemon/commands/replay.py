"""``doorstep replay``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from daemon.commands.shared_options import (
    config_option,
    failures_told,
    json_text,
    operator,
    progress_of,
    require_database,
    settings_of,
)

if TYPE_CHECKING:
    from daemon.bootstrap import House
    from hl7_listener.replay import Difference, ReplayReport

PAUSE: Final = 0.02
"""Seconds between two transactions on SQLite, where a daemon beside us polls for its turn (see ``doorstep invite``)."""

STATUSES: Final = ("ignored", "held", "rejected", "stale", "applied")

_ADVICE: Final = {
    "incomplete_batch": "something of their batch was lost on the way, so none of it is applied; have it sent again",
    "no_listener": "their listener is not configured any more; see doorstep quarantine resubmit --listener",
    "failed": "doorstep failed over them, or they do not open; the log says where",
    "decided_meanwhile": "somebody else applied or discarded them while this was under way",
}


@click.command("replay", epilog="Example: doorstep replay --since 2026-11-01 --status ignored --dry-run")
@config_option
@click.option(
    "--since", type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]), help="Only what was received since (UTC)."
)
@click.option(
    "--status",
    "statuses",
    type=click.Choice(STATUSES),
    multiple=True,
    help="Messages of this outcome; may be repeated (ignored, held, rejected).",
)
@click.option("--dry-run", is_flag=True, help="Show which records would differ, and change nothing.")
@click.option("--values", is_flag=True, help="With --dry-run: show the people in clear, before and after. Audited.")
@click.option("--json", "as_document", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def command(
    context: click.Context,
    config: Path | None,
    *,
    since: datetime | None,
    statuses: tuple[str, ...],
    dry_run: bool,
    values: bool,
    as_document: bool,
) -> None:
    """Apply stored messages again, in their order: what could not be applied when it came.

    The time of each event counts, so an old statement never overrules a newer one. Twice is as good as once.
    """
    if values and not dry_run:
        raise click.UsageError("--values belongs to --dry-run")
    settings = settings_of(context, config)
    require_database(settings)
    from daemon.bootstrap import build  # noqa: PLC0415 (the whole house: not for --help)
    from hl7_listener.replay import PASSED_OVER  # noqa: PLC0415

    asked = _Asked(since.replace(tzinfo=UTC) if since else None, statuses or PASSED_OVER)
    shown: list[dict[str, object]] = []
    with failures_told():
        house = build(settings)
        try:
            report = _rehearse(house, asked, shown, values=values, quiet=as_document) if dry_run else _run(house, asked)
        finally:
            house.close()
    if as_document:
        click.echo(json_text({**msgspec.to_builtins(report), "differences": shown}, indent=2))
        return
    counts = ", ".join(f"{count} {outcome}" for outcome, count in sorted(report.outcomes.items())) or "none"
    would = "would differ (dry run: nothing was changed)" if dry_run else "changed something"
    click.echo(f"{report.messages} messages: {counts}; {report.changed} {'records' if dry_run else 'of them'} {would}")
    for outcome, advice in _ADVICE.items():
        if outcome in report.outcomes:
            click.echo(f"{outcome}: {advice}")


class _Asked(msgspec.Struct, frozen=True):
    since: datetime | None
    statuses: tuple[str, ...]


def _run(house: House, asked: _Asked) -> ReplayReport:
    from daemon.curation import replay, replayed  # noqa: PLC0415

    pause = partial(time.sleep, PAUSE) if house.database.dialect == "sqlite" else lambda: None
    with replay(house) as messages:
        total = messages.count(since=asked.since, statuses=asked.statuses)
        with progress_of("replaying", total) as progress:
            return messages.run(
                since=asked.since,
                statuses=asked.statuses,
                progress=progress,
                pause=pause,
                also=replayed(house, operator()),
            )


def _rehearse(
    house: House, asked: _Asked, shown: list[dict[str, object]], *, values: bool, quiet: bool
) -> ReplayReport:
    from daemon.curation import looked_at, replay  # noqa: PLC0415

    def show(difference: Difference) -> None:
        document = _document(difference, values=values)
        if values:
            looked_at(house, operator(), difference.after)
        if quiet:
            shown.append(document)
        else:
            click.echo("\n".join(_lines(document)))

    with replay(house) as messages:
        total = messages.count(since=asked.since, statuses=asked.statuses)
        with progress_of("rehearsing", total) as progress:
            return messages.rehearse(since=asked.since, statuses=asked.statuses, show=show, progress=progress)


def _document(difference: Difference, *, values: bool) -> dict[str, object]:
    document: dict[str, object] = {"id": difference.after.public_id, "fields": list(difference.fields)}
    if values:
        document["before"] = _values(difference.before, difference.fields)
        document["after"] = _values(difference.after, difference.fields)
    return document


def _values(record: object, fields: tuple[str, ...]) -> dict[str, object] | None:
    if record is None:
        return None
    halves = {**msgspec.to_builtins(record.demographics), **msgspec.to_builtins(record.standing)}  # type: ignore[attr-defined]
    return halves if fields == ("created",) else {name: halves.get(name) for name in fields}


def _lines(document: dict[str, object]) -> list[str]:
    fields = document["fields"]
    lines = [f"{document['id']}: {', '.join(fields) if isinstance(fields, list) else ''}"]
    sides = (side for side in ("before", "after") if document.get(side))
    return [*lines, *(f"  {side}: {json_text(document[side])}" for side in sides)]

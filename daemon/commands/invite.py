"""``doorstep invite``."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from daemon.commands.shared_options import config_option, failures_told, on_a_terminal, require_database, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from daemon.bootstrap import House

PAUSE: Final = 0.02
"""Seconds between two batches. SQLite's waiters look for the lock after 1, 2, 5, 10, 15, 20, 25 ms, then more seldom:
who waits for one batch finds a gap of this length. Twenty seconds more for 100,000 people, and no stall of a feed."""


@click.command("invite", epilog="Example: doorstep invite --dry-run")
@config_option
@click.option("--dry-run", is_flag=True, help="Only show whom it would invite, by channel, and why not the others.")
@click.option("--limit", type=click.IntRange(min=1), help="Invite no more than so many people.")
@click.option("--json", "as_document", is_flag=True, help="Print the numbers as JSON.")
@click.pass_context
def command(
    context: click.Context, config: Path | None, limit: int | None, *, dry_run: bool, as_document: bool
) -> None:
    """Find the people who may be invited and invite them, once, now; the daemon delivers."""
    settings = settings_of(context, config)
    require_database(settings)
    from daemon import price  # noqa: PLC0415 (the whole house: not for --help)
    from daemon.bootstrap import build  # noqa: PLC0415
    from invites import overview  # noqa: PLC0415

    numbers: dict[str, Any]
    with failures_told():
        house = build(settings)
        try:
            if dry_run:
                numbers = _look_ahead(house)
            else:
                numbers = {"invited": _invite(house, limit)}
                with house.database.read() as connection:
                    people = overview.people_by_state(connection)
                numbers["why_not"] = {state: count for state, count in people.items() if state != "eligible"}
        finally:
            house.close()
    told = price.lines(numbers) if dry_run else _lines(numbers)
    click.echo(json.dumps(numbers, indent=2) if as_document else "\n".join(told))


def _look_ahead(house: House) -> dict[str, Any]:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    from daemon import price  # noqa: PLC0415

    with Progress(console=Console(stderr=True), disable=not on_a_terminal(), transient=True) as bar:
        task = bar.add_task("looking at people", total=None)
        return price.dry_run(house, lambda looked_at: bar.update(task, advance=looked_at))


def _invite(house: House, limit: int | None) -> dict[str, int]:
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), disable=not on_a_terminal(), transient=True) as bar:
        task = bar.add_task("inviting", total=limit)
        report = house.invites.issue.run(
            limit=limit,
            heed_hours=False,
            progress=lambda done: bar.update(task, completed=done),
            pause=_pause(house.database.dialect),
        )
    return dict(report.issued)


def _pause(dialect: str) -> Callable[[], None]:
    """Let a daemon beside us have its turn on SQLite, whose writers of several processes do not queue but poll."""
    return partial(time.sleep, PAUSE) if dialect == "sqlite" else lambda: None


def _lines(numbers: dict[str, dict[str, int]]) -> list[str]:
    lines = []
    for title, counts in numbers.items():
        total = sum(counts.values())
        lines.append(f"{title.replace('_', ' ')}: {total}")
        lines += [f"  {name.replace('_', ' ')}: {count}" for name, count in sorted(counts.items())]
    return lines

"""What each day sent and what came of it, counted in the database, so that several daemons share one count.

Every statement adds to a row or makes it, and so holds it until its transaction ends: two daemons that take the last
places of a cap take them one after the other. Rows are taken in one order: by organisation, channel, day.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects import postgresql, sqlite

from invites.tables import tallies
from patient_records.unit_of_work import POSTGRESQL

CHALLENGES: Final = "challenge"
"""The channel under which answers to the challenge are counted."""

Place = tuple[str, str]
"""An organisation and a channel."""


def started(connection: Connection, organisation: str, day: date) -> dict[str, int]:
    """How many messages an organisation began to send on that day, by channel (:data:`ALL` together)."""
    mine = (tallies.c.organisation == organisation, tallies.c.day == day.isoformat())
    rows = connection.execute(select(tallies.c.channel, tallies.c.started).where(*mine))
    return {row.channel: row.started for row in rows}


def begin(connection: Connection, place: Place, day: date, wanted: int, cap: int | None) -> int:
    """Count so many messages as begun on that day, or as many as the cap leaves; gives how many."""
    so_far = _add(connection, place, day, started=0)[0]  # holds the row
    granted = wanted if cap is None else max(0, min(wanted, cap - so_far))
    if granted:
        _add(connection, place, day, started=granted)
    return granted


def give_back(connection: Connection, places: Mapping[tuple[str, str, str], int]) -> None:
    """Take back what was counted as begun and certainly was not sent: organisation, channel, day (ISO) and how many."""
    for (organisation, channel, day), count in sorted(places.items()):
        mine = (tallies.c.organisation == organisation, tallies.c.channel == channel, tallies.c.day == day)
        enough = tallies.c.started >= count
        connection.execute(update(tallies).where(*mine, enough).values(started=tallies.c.started - count))


def result(connection: Connection, place: Place, day: date, *, good: int, bad: int) -> tuple[int, int]:
    """Count results; gives all good and bad ones of that day since the last resume."""
    return _add(connection, place, day, good=good, bad=bad)[1:]


def forget_results(connection: Connection, organisation: str, channel: str, day: date) -> None:
    """Let an automatic pause judge anew from now; both may be empty for all."""
    statement = update(tallies).where(tallies.c.day >= day.isoformat())
    if organisation:
        statement = statement.where(tallies.c.organisation == organisation)
    if channel:
        statement = statement.where(tallies.c.channel == channel)
    connection.execute(statement.values(good=0, bad=0))


def _add(
    connection: Connection, place: Place, day: date, *, started: int = 0, good: int = 0, bad: int = 0
) -> tuple[int, int, int]:
    insert = postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert
    organisation, channel = place
    row = {"organisation": organisation, "channel": channel, "day": day.isoformat()}
    statement = insert(tallies).values(**row, started=started, good=good, bad=bad)
    statement = statement.on_conflict_do_update(
        index_elements=list(row),
        set_={
            "started": tallies.c.started + started,
            "good": tallies.c.good + good,
            "bad": tallies.c.bad + bad,
        },
    )
    connection.execute(statement)  # holds the row; read apart, for SQLite knows RETURNING from 3.35 on only
    mine = [tallies.c[name] == value for name, value in row.items()]
    found = connection.execute(select(tallies.c.started, tallies.c.good, tallies.c.bad).where(*mine)).one()
    return found.started, found.good, found.bad

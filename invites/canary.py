"""An organisation's first run under a canary: so many are invited, and the others wait (SPEC 5.4).

The row of the organisation counts and is held by whoever issues, so that two daemons let no more go than one. What lets
the others go is a command, or time: when nothing was paused for as long as configured after the last of the canary, and
nine in ten of its messages came to a good end.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from invites.allowance import ALL
from invites.rhythm import Rhythm
from invites.tables import canaries, tallies
from invites.tally import CHALLENGES
from patient_records.instants import from_micros, maybe_instant, to_micros
from patient_records.unit_of_work import POSTGRESQL

BY_COMMAND: Final = "operator"
BY_RESULT: Final = "good_result"
GOOD: Final = 0.9


class Canary(Struct, frozen=True):
    """Where an organisation's canary stands."""

    organisation: str
    issued: int
    last_at: datetime
    passed_at: datetime | None
    passed_by: str | None


def all_of(connection: Connection) -> list[Canary]:
    """Every canary there is."""
    rows = connection.execute(select(canaries).order_by(canaries.c.organisation))
    return [
        Canary(r.organisation, r.issued, from_micros(r.last_at), maybe_instant(r.passed_at), r.passed_by) for r in rows
    ]


def left(connection: Connection, organisation: str, rhythm: Rhythm, now: datetime) -> int | None:
    """How many more the canary lets go, None: any number; holds its row until the transaction ends."""
    if rhythm.canary is None:
        return None
    count(connection, organisation, 0, now)
    row = connection.execute(select(canaries).where(canaries.c.organisation == organisation)).one()
    return None if row.passed_at is not None else max(0, rhythm.canary - row.issued)


def seen_left(connection: Connection, organisation: str, rhythm: Rhythm) -> int | None:
    """The same for a reader, who holds nothing."""
    if rhythm.canary is None:
        return None
    row = connection.execute(select(canaries).where(canaries.c.organisation == organisation)).one_or_none()
    if row is None:
        return rhythm.canary
    return None if row.passed_at is not None else max(0, rhythm.canary - row.issued)


def count(connection: Connection, organisation: str, issued: int, now: datetime) -> None:
    """Count so many as issued under the canary."""
    insert = postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert
    statement = insert(canaries).values(organisation=organisation, issued=issued, last_at=to_micros(now))
    grown = {"issued": canaries.c.issued + issued} | ({"last_at": to_micros(now)} if issued else {})
    connection.execute(statement.on_conflict_do_update(index_elements=["organisation"], set_=grown))


def let_go(connection: Connection, organisation: str, by: str, now: datetime) -> bool:
    """Let the others go; gives whether they were waiting (or the canary had not begun)."""
    count(connection, organisation, 0, now)
    waiting = (canaries.c.organisation == organisation, canaries.c.passed_at.is_(None))
    statement = update(canaries).where(*waiting).values(passed_at=to_micros(now), passed_by=by)
    return connection.execute(statement).rowcount > 0


def has_ended_well(connection: Connection, organisation: str, rhythm: Rhythm, now: datetime) -> bool:
    """Whether the canary is out for long enough and came to a good end; pauses are the caller's to ask."""
    if rhythm.canary is None or rhythm.canary_wait is None:
        return False
    row = connection.execute(select(canaries).where(canaries.c.organisation == organisation)).one_or_none()
    if row is None or row.passed_at is not None or row.issued < rhythm.canary:
        return False
    sums = select(func.sum(tallies.c.good), func.sum(tallies.c.bad)).where(
        tallies.c.organisation == organisation, tallies.c.channel.not_in([ALL, CHALLENGES])
    )
    good, bad = (int(found or 0) for found in connection.execute(sums).one())
    long_enough = from_micros(row.last_at) + rhythm.canary_wait <= now
    return long_enough and good >= GOOD * row.issued and good >= GOOD * (good + bad)

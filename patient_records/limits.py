"""How often something may be done by one subject: windows that are counted in the database.

In the database, so that several daemons share one count and a new start forgets none. A window opens with the first
thing counted, stays for its length, and holds ``most``; the next one opens with the first thing after it. So nobody
gets more than ``most`` in a window, nor more than twice that in any time as long as one.

Whom a window is about (an address, a client, a record) is kept as a keyed hash: who steals the database cannot read
from it who came. What is refused writes nothing, so that a flood costs no commits.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, case, delete, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from patient_records.blind_index import BlindIndex
from patient_records.instants import from_micros, to_micros
from patient_records.tables import rate_windows
from patient_records.unit_of_work import SQLITE

_W: Final = rate_windows.c
_SWEPT_AT_A_TIME: Final = 1000


class Limit(Struct, frozen=True):
    """At most ``most`` in each ``window``, of what ``name`` names (a code of ours: two limits never share a count)."""

    name: str
    most: int
    window: timedelta


class Exceeded(Struct, frozen=True):
    """Too many: ``wait`` is how long until the window ends."""

    wait: timedelta

    @property
    def retry_after(self) -> int:
        """Whole seconds for the header Retry-After (RFC 9110, 10.2.3), at least one."""
        return max(1, -(-self.wait // timedelta(seconds=1)))


class Limits:
    """Counts in the caller's transaction: what is rolled back was not counted.

    Take a limit before records are locked: whoever holds a window's row may wait for a record, never the other way.
    """

    def __init__(self, index: BlindIndex) -> None:
        self._index = index

    def take(
        self, connection: Connection, limit: Limit, subject: str, now: datetime, count: int = 1
    ) -> Exceeded | None:
        """Count so many things of that subject, or say when to come again if they do not all fit; then none counts."""
        if count > limit.most:
            return Exceeded(limit.window)
        blind, at = self._index.subject(limit.name, subject), to_micros(now)
        insert = sqlite.insert if connection.dialect.name == SQLITE else postgresql.insert
        ends_at = at + limit.window // timedelta(microseconds=1)
        fresh = insert(rate_windows).values(rule=limit.name, blind=blind, ends_at=ends_at, taken=count)
        over = _W.ends_at <= at
        statement = fresh.on_conflict_do_update(
            index_elements=["rule", "blind"],
            set_={
                "taken": case((over, count), else_=_W.taken + count),
                "ends_at": case((over, ends_at), else_=_W.ends_at),
            },
            where=or_(over, _W.taken + count <= limit.most),
        ).returning(_W.taken)
        if connection.scalar(statement) is not None:
            return None
        # Swept in between, it was refused all the same: come again at once.
        return self.exceeded(connection, limit, subject, now, count) or Exceeded(timedelta(0))

    def exceeded(
        self, connection: Connection, limit: Limit, subject: str, now: datetime, count: int = 1
    ) -> Exceeded | None:
        """Whether so many more would be too many now; counts nothing, and does for a reader."""
        if count > limit.most:
            return Exceeded(limit.window)
        blind = self._index.subject(limit.name, subject)
        statement = select(_W.ends_at, _W.taken).where(_W.rule == limit.name, _W.blind == blind)
        row = connection.execute(statement).one_or_none()
        if row is None or row.ends_at <= to_micros(now) or row.taken + count <= limit.most:
            return None
        return Exceeded(from_micros(row.ends_at) - now)

    def give_back(self, connection: Connection, limit: Limit, subject: str, now: datetime) -> None:
        """Take one back that was counted before anybody knew that it need not be."""
        blind = self._index.subject(limit.name, subject)
        mine = (_W.rule == limit.name, _W.blind == blind, _W.ends_at > to_micros(now), _W.taken > 0)
        connection.execute(update(rate_windows).where(*mine).values(taken=_W.taken - 1))

    def forget(self, connection: Connection, limit: Limit, subject: str) -> None:
        """Begin anew with that subject, such as after a right answer."""
        blind = self._index.subject(limit.name, subject)
        connection.execute(delete(rate_windows).where(_W.rule == limit.name, _W.blind == blind))


def any_over(connection: Connection, now: datetime) -> bool:
    """Whether :func:`sweep` would find anything; for a reader."""
    return connection.scalar(select(_W.ends_at).where(_W.ends_at <= to_micros(now)).limit(1)) is not None


def sweep(connection: Connection, now: datetime) -> int:
    """Delete windows that are over, a thousand at most; gives how many.

    One that somebody counts in just now is passed over (PostgreSQL): who holds it may want another that we hold.
    """
    over = select(_W.rule, _W.blind).where(_W.ends_at <= to_micros(now)).limit(_SWEPT_AT_A_TIME)
    rows = connection.execute(over.with_for_update(skip_locked=True)).all()
    for row in rows:
        connection.execute(
            delete(rate_windows).where(_W.rule == row.rule, _W.blind == row.blind, _W.ends_at <= to_micros(now))
        )
    return len(rows)

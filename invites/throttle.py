"""A provider's rate limits, kept by all daemons together: token buckets in the database.

Each limit ("3000 a minute") is one row: the time at which its bucket will be full again (the theoretical arrival time
of ITU-T I.371's generic cell rate algorithm). Taking tokens moves that time on; how far it lies ahead says how many
are left. A bucket holds a tenth of its limit, and fills so slowly that what it held and what flows into it in one
period are no more than the limit: no period of that length, wherever it begins, ever sees more.

Tokens are taken in the transaction that claims entries, which ends before anybody is called; who finds none waits with
no transaction open, and is told how long. A token is spent by an attempt, whatever comes of it.

A database's clock may jump. Forward, the bucket is full. Back again, a time far ahead would silence the provider until
then, so a bucket is never taken to be emptier than empty: who asks for an allowance writes that down, and the bucket
fills from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from invites.tables import provider_buckets
from patient_records.instants import to_micros
from patient_records.unit_of_work import POSTGRESQL, SQLITE

_MICRO: Final = timedelta(microseconds=1)
_B: Final = provider_buckets.c
_FILLED: Final = (
    update(provider_buckets)
    .where(_B.lane == bindparam("of"), _B.period == bindparam("length"))
    .values(full_at=bindparam("at"))
)


class RateLimit(Struct, frozen=True):
    """At most ``most`` in any ``period``."""

    most: int
    period: timedelta

    @property
    def burst(self) -> int:
        """Tokens in a full bucket."""
        return max(1, self.most // 10)

    @property
    def interval(self) -> int:
        """Microseconds in which one token flows in."""
        length = self.period // _MICRO
        return -(-length // max(1, self.most - self.burst))

    def believed(self, full_at: int, now: int) -> int:
        """When the bucket is full at the latest: what is further ahead was written by a clock that went back since."""
        return min(full_at, now + self.burst * self.interval)

    def left(self, full_at: int, now: int) -> int:
        """How many tokens there are, if the bucket is full at that time."""
        return (self.burst * self.interval - max(0, full_at - now)) // self.interval

    def wait(self, full_at: int, now: int) -> timedelta:
        """How long until there is one."""
        return max(0, full_at - now - (self.burst - 1) * self.interval) * _MICRO


class Throttle:
    """The limits of one lane's provider. Without limits it lets everything through and writes nothing."""

    def __init__(self, lane: str, limits: Sequence[RateLimit]) -> None:
        self._lane = lane
        self._limits = {limit.period // _MICRO: limit for limit in limits}

    def wait(self, connection: Connection, now: datetime) -> timedelta:
        """How long until anything may be sent; nothing at all for now. For a reader.

        A bucket that cannot be believed holds up nobody here: the allowance, which may write, mends it.
        """
        at = to_micros(now)
        full = self._full(connection, lock=False)
        told = [(limit, full.get(period, at)) for period, limit in self._limits.items()]
        waits = [limit.wait(full_at, at) for limit, full_at in told if limit.believed(full_at, at) == full_at]
        return max(waits, default=timedelta(0))

    def allowance(self, connection: Connection, most: int, now: datetime) -> int:
        """How many of ``most`` may be sent now; their buckets are locked until the caller's transaction ends."""
        if not self._limits:
            return most
        at = to_micros(now)
        insert = sqlite.insert if connection.dialect.name == SQLITE else postgresql.insert
        fresh = [{"lane": self._lane, "period": period, "full_at": at} for period in self._limits]
        connection.execute(insert(provider_buckets).on_conflict_do_nothing(), fresh)
        full = self._mended(connection, self._full(connection, lock=True), at)
        return max(0, min(most, *(limit.left(full[p], at) for p, limit in self._limits.items())))

    def take(self, connection: Connection, count: int, now: datetime) -> None:
        """Spend so many tokens, in the transaction that asked for the allowance."""
        if not self._limits or not count:
            return
        at = to_micros(now)
        full = self._full(connection, lock=True)
        self._put(connection, {p: max(full[p], at) + count * limit.interval for p, limit in self._limits.items()})

    def _mended(self, connection: Connection, full: dict[int, int], now: int) -> dict[int, int]:
        believed = {period: limit.believed(full[period], now) for period, limit in self._limits.items()}
        self._put(connection, {period: at for period, at in believed.items() if at != full[period]})
        return believed

    def _put(self, connection: Connection, full: dict[int, int]) -> None:
        rows = [{"of": self._lane, "length": period, "at": at} for period, at in full.items()]
        if rows:
            connection.execute(_FILLED, rows)

    def _full(self, connection: Connection, *, lock: bool) -> dict[int, int]:
        statement = select(_B.period, _B.full_at).where(_B.lane == self._lane).order_by(_B.period)
        if lock and connection.dialect.name == POSTGRESQL:
            statement = statement.with_for_update()
        return {row.period: row.full_at for row in connection.execute(statement)}

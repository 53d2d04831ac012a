"""Instants as the tables keep them: microseconds since 1970-01-01T00:00:00Z, in 64 bits.

One whole number means the same in SQLite and PostgreSQL, sorts, has no zone to lose, and costs nothing to read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970, UTC, of an aware datetime; exact. Raises TypeError for a naive one."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of so many microseconds since 1970; exact."""
    return _EPOCH + timedelta(microseconds=micros)


def maybe_micros(instant: datetime | None) -> int | None:
    """:func:`to_micros`, where there may be none."""
    return None if instant is None else to_micros(instant)


def maybe_instant(micros: int | None) -> datetime | None:
    """:func:`from_micros`, where there may be none."""
    return None if micros is None else from_micros(micros)

"""HL7 timestamps as instants (TS, HL7 2.5.1 chapter 2A.77; DTM from 2.6 on). Pure.

A timestamp names a period: a day, a minute, a second. Where its zone is not given and the clocks go back, the hour that
comes twice makes it longer by one. Which instant of it is meant is for the asker to say.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

_STAMP: Final = re.compile(
    r"(?P<date>\d{4}(?:\d{2}){0,2})(?P<time>(?:\d{2}){0,3})(?:\.(?P<fraction>\d{1,9}))?\d*"
    r"(?P<offset>Z|[+-]\d{2}:?\d{2})?\Z",
    re.ASCII,
)
_PUNCTUATED: Final = re.compile(r"\A(\d{4})[-/](\d{2})(?:[-/](\d{2}))?[T ]?(?:(\d{2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_LONGEST: Final = 40
_MICROSECOND: Final = timedelta(microseconds=1)
_STEPS: Final = {8: timedelta(days=1), 10: timedelta(hours=1), 12: timedelta(minutes=1)}
_YEAR, _MONTH, _SECOND = 4, 6, 14


class Period(Struct, frozen=True):
    """The first and the last instant that a timestamp may mean, in UTC; the same one for a time to the second."""

    start: datetime
    end: datetime


def instant_of(text: str, zone: ZoneInfo) -> datetime | None:
    """The first instant that a timestamp names (see :func:`period_of`), in UTC; None when it names none."""
    period = period_of(text, zone)
    return None if period is None else period.start


def period_of(text: str, zone: ZoneInfo) -> Period | None:
    """The period that a timestamp names; None when it names none.

    Any precision from a year to a fraction of a second. Without an offset the time is the sender's local one
    (``zone``): in the hour that comes twice it starts in the first of the two and ends in the second. Dashes, colons
    and a T between the parts are put up with (corpus, point 7).
    """
    if len(text) > _LONGEST:  # asked here: what is too long must not become a key of the cache
        return None
    return _period(text, zone)


@lru_cache(maxsize=4096)  # at any rate worth speaking of, many messages share their second
def _period(text: str, zone: ZoneInfo) -> Period | None:
    punctuated = _PUNCTUATED.match(text)
    if punctuated:
        text = "".join(part or "" for part in punctuated.groups()) + text[punctuated.end() :]
    match = _STAMP.match(text)
    if match is None:
        return None
    date, time = match["date"], match["time"]
    try:
        local = datetime(  # noqa: DTZ001 (its zone follows below)
            int(date[:4]),
            int(date[4:6] or 1),
            int(date[6:8] or 1),
            int(time[:2] or 0),
            int(time[2:4] or 0),
            int(time[4:6] or 0),
            int((match["fraction"] or "0")[:6].ljust(6, "0")),
        )
        offset = match["offset"]
        first = local.replace(tzinfo=_fixed(offset) if offset else zone)
        last = _last(local, len(date) + len(time)).replace(tzinfo=first.tzinfo, fold=1)
        start = first.astimezone(UTC)
        return Period(start, max(start, last.astimezone(UTC)))  # a time that the clocks leave out would end first
    except (ValueError, OverflowError):
        return None


def _last(local: datetime, digits: int) -> datetime:
    """Give the last microsecond of a year, month, day, hour or minute; what is more precise is its own end."""
    if digits >= _SECOND:
        return local
    if digits == _YEAR:
        return local.replace(year=local.year + 1) - _MICROSECOND
    if digits == _MONTH:
        return (local + timedelta(days=31)).replace(day=1) - _MICROSECOND
    return local + _STEPS[digits] - _MICROSECOND


def _fixed(offset: str) -> timezone:
    if offset == "Z":
        return UTC
    digits = offset[1:].replace(":", "")
    shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-shift if offset[0] == "-" else shift)

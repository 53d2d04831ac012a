"""Is a silence unusual for this sender? Learned from its own weeks, and from nothing else.

A feed has a weekly rhythm: a ward is quiet at night, an outpatient system on Sundays, a nightly job speaks once. So a
silence is held against the same stretch of the weeks before, in the sender's own zone (a clock change moves nobody's
habits). It is unusual when in each of these weeks, but for one, at least :data:`EXPECTED` messages came in that
stretch. One week may differ, because of a holiday or an outage, and teaches nothing; fewer than :data:`FEWEST_WEEKS`
weeks say nothing at all.

Counts are kept by quarter of an hour, and only quarters that lie wholly within the silence are looked at: so a job that
comes ten minutes late is not missed, and no silence shorter than a quarter is one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

SLOT: Final = timedelta(minutes=15)
WEEK: Final = timedelta(days=7)
MOST_WEEKS: Final = 8
"""How far back a habit reaches: long enough to see past a holiday, short enough to follow a new timetable."""
FEWEST_WEEKS: Final = 3
EXPECTED: Final = 6
"""Where six messages are the least that came, none at all is chance once in four hundred (e^-6)."""
_SLOT_SECONDS: Final = int(SLOT.total_seconds())


def slot_of(at: datetime) -> int:
    """The quarter of an hour in which an instant lies, counted since 1970."""
    return int(at.timestamp()) // _SLOT_SECONDS


def slot_of_micros(at: int) -> int:
    """The same of an instant in microseconds."""
    return at // (_SLOT_SECONDS * 1_000_000)


def whole_slots(since: datetime, now: datetime) -> tuple[int, int]:
    """The quarters that lie wholly between two instants: the first, and the one behind the last."""
    first = slot_of(since) + 1
    return first, max(first, slot_of(now))


def expected(
    since: datetime, now: datetime, known_since: datetime, zone: ZoneInfo, messages: Callable[[int, int], int]
) -> int:
    """How many messages are usual, at the least, in a silence from ``since`` to ``now``; 0 when nothing can be said.

    ``known_since`` is when the sender was first heard; ``messages(first, end)`` counts those of the quarters from
    ``first`` up to and without ``end``. A silence of more than a week is looked at as one of a week.
    """
    since = max(since, now - WEEK)
    first, end = whole_slots(since, now)
    if first == end:
        return 0
    counts = []
    for week in range(1, MOST_WEEKS + 1):
        begins = _weeks_before(_instant(first), week, zone)
        if begins < known_since:
            break
        start = slot_of(begins)
        counts.append(messages(start, start + end - first))
    if len(counts) < FEWEST_WEEKS:
        return 0
    counts.sort()
    return counts[1]


def is_unusual(usual: int) -> bool:
    """Whether so many messages that did not come are worth an alarm."""
    return usual >= EXPECTED


def _instant(slot: int) -> datetime:
    return datetime.fromtimestamp(slot * _SLOT_SECONDS, UTC)


def _weeks_before(at: datetime, weeks: int, zone: ZoneInfo) -> datetime:
    """The same time of the same weekday, so many weeks before, by the clock on the wall."""
    return (at.astimezone(zone) - weeks * WEEK).astimezone(UTC)

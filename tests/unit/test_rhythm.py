"""What silence is unusual: by the sender's own weeks, in its own zone, and never from few of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.rhythm import MOST_WEEKS, WEEK, expected, is_unusual, slot_of, whole_slots

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)  # a Wednesday, summer time
LONG_AGO = NOW - 20 * WEEK


class Feed:
    """Counts of a feed that sends ``rate`` messages in each quarter in which it is awake."""

    def __init__(self, zone: ZoneInfo = LONDON) -> None:
        self.counts: dict[int, int] = {}
        self.zone = zone

    def sends(self, rate: int, *, hours: range = range(24), weeks: range = range(1, 21)) -> Feed:
        """Fill the weeks before NOW, by the clock on the wall."""
        for week in weeks:
            for quarter in range(7 * 96):
                at = NOW.astimezone(self.zone) - week * WEEK + quarter * timedelta(minutes=15)
                if at.hour in hours:
                    self.counts[slot_of(at)] = rate
        return self

    def messages(self, first: int, end: int) -> int:
        return sum(self.counts.get(slot, 0) for slot in range(first, end))

    def usual(self, silence: timedelta, *, known_since: datetime = LONG_AGO, now: datetime = NOW) -> int:
        return expected(now - silence, now, known_since, self.zone, self.messages)


def test_a_busy_feed_is_missed_after_the_first_whole_quarter() -> None:
    feed = Feed().sends(1000)
    assert feed.usual(timedelta(minutes=14)) == 0
    assert feed.usual(timedelta(minutes=16)) == 1000
    assert is_unusual(feed.usual(timedelta(minutes=16)))


def test_a_slow_feed_is_missed_later() -> None:
    feed = Feed().sends(1)
    assert not is_unusual(feed.usual(timedelta(minutes=80)))
    assert is_unusual(feed.usual(timedelta(minutes=95)))


def test_a_quiet_night_is_no_silence() -> None:
    feed = Feed().sends(100, hours=range(8, 18))
    at_six = NOW.replace(hour=5)
    assert feed.usual(timedelta(hours=11), now=at_six) == 0
    assert is_unusual(feed.usual(timedelta(hours=16), now=NOW))


@pytest.mark.parametrize("weeks", [0, 1, 2])
def test_few_weeks_say_nothing(weeks: int) -> None:
    known = NOW - weeks * WEEK - timedelta(days=6)
    assert Feed().sends(1000).usual(timedelta(hours=2), known_since=known) == 0
    assert Feed().sends(1000).usual(timedelta(hours=2), known_since=NOW - 4 * WEEK) > 0


def test_one_odd_week_teaches_nothing_and_two_do() -> None:
    one, two = Feed().sends(100), Feed().sends(100)
    one.sends(0, weeks=range(3, 4))
    two.sends(0, weeks=range(3, 5))
    assert is_unusual(one.usual(timedelta(hours=1)))
    assert not is_unusual(two.usual(timedelta(hours=1)))


def test_a_nightly_job_that_wanders_is_waited_for_as_long_as_it_ever_took() -> None:
    feed = Feed()
    for week in range(1, MOST_WEEKS + 1):  # between 06:00 and 06:45
        feed.counts[slot_of(NOW.replace(hour=5) - week * WEEK + (week % 4) * timedelta(minutes=15))] = 500
    since = NOW.replace(hour=5) - timedelta(hours=23)
    for minutes, unusual in ((20, False), (40, False), (65, True)):
        now = NOW.replace(hour=5) + timedelta(minutes=minutes)
        assert is_unusual(expected(since, now, LONG_AGO, LONDON, feed.messages)) == unusual, minutes


def test_a_clock_change_moves_no_habit() -> None:
    """Weeks before the last Sunday of October are an hour off in UTC, and not on the wall."""
    now = datetime(2026, 10, 28, 8, 30, tzinfo=UTC)  # 08:30 in London, where it opens at 09:00
    feed = Feed()
    for week in range(1, 9):
        opens = (now.astimezone(LONDON) - week * WEEK).replace(hour=9, minute=0)
        for quarter in range(32):
            feed.counts[slot_of(opens + quarter * timedelta(minutes=15))] = 100
    assert expected(now - timedelta(hours=12), now, LONG_AGO, LONDON, feed.messages) == 0


def test_a_silence_of_months_is_one_of_a_week() -> None:
    feed = Feed().sends(1)
    assert feed.usual(timedelta(days=60)) == feed.usual(timedelta(days=7)) == 671


def test_only_whole_quarters_count() -> None:
    at = datetime(2026, 6, 10, 12, 7, tzinfo=UTC)
    first, end = whole_slots(at, at + timedelta(minutes=22))
    assert end - first == 0
    first, end = whole_slots(at, at + timedelta(minutes=23))
    assert end - first == 1

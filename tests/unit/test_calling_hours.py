from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from invites.holidays import HolidaysUnreadable, read_holidays
from invites.rhythm import HOLIDAY, QUIET_HOURS, WEEKDAY, CallingHours

LONDON = ZoneInfo("Europe/London")
NIGHT = CallingHours(time(20), time(8))
WORKDAYS = CallingHours(time(20), time(8), frozenset(range(5)), frozenset({date(2026, 12, 25)}))


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=LONDON)


@pytest.mark.parametrize(
    ("hours", "at", "closed"),
    [
        (CallingHours(), "2026-01-01T03:00", None),
        (NIGHT, "2026-03-04T20:00", QUIET_HOURS),
        (NIGHT, "2026-03-04T07:59:59", QUIET_HOURS),
        (NIGHT, "2026-03-04T08:00", None),
        (CallingHours(time(1), time(5)), "2026-03-04T04:59", QUIET_HOURS),
        (CallingHours(time(1), time(5)), "2026-03-04T00:30", None),
        (WORKDAYS, "2026-03-07T12:00", WEEKDAY),
        (WORKDAYS, "2026-12-25T12:00", HOLIDAY),
    ],
)
def test_hours(hours: CallingHours, at: str, closed: str | None) -> None:
    assert hours.closed("sms", local(at)) == closed
    assert hours.closed("letter", local(at)) is None


@pytest.mark.parametrize(
    ("hours", "now", "opens"),
    [
        (NIGHT, "2026-03-04T12:00", "2026-03-04T12:00"),
        (NIGHT, "2026-03-04T21:00", "2026-03-05T08:00"),
        (NIGHT, "2026-03-04T02:00", "2026-03-04T08:00"),
        (WORKDAYS, "2026-12-24T21:00", "2026-12-28T08:00"),
        (CallingHours(weekdays=frozenset(range(5))), "2026-03-07T12:00", "2026-03-09T00:00"),
        (NIGHT, "2026-03-28T21:00", "2026-03-29T08:00"),  # the night in which summer time begins
    ],
)
def test_the_next_opening(hours: CallingHours, now: str, opens: str) -> None:
    found = hours.opens("sms", local(now).astimezone(UTC), LONDON)
    assert found == local(opens)


def test_what_never_opens_says_so() -> None:
    assert CallingHours(weekdays=frozenset()).opens("sms", local("2026-03-04T12:00"), LONDON) is None


LIST = """# Closed
2026-12-25 Christmas Day
2026-12-28, substitute day

"""
ICS = """BEGIN:VCALENDAR\r
VERSION:2.0\r
BEGIN:VEVENT\r
DTEND;VALUE=DATE:20261227\r
DTSTART;VALUE=DATE:20261225\r
SUMMARY:Christmas\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTART;VALUE=DATE:20270101\r
END:VEVENT\r
END:VCALENDAR\r
"""


def test_a_list_of_dates() -> None:
    assert read_holidays("\ufeff" + LIST) == {date(2026, 12, 25), date(2026, 12, 28)}
    assert read_holidays("") == frozenset()


def test_a_calendar_as_governments_publish_it() -> None:
    assert read_holidays(ICS) == {date(2026, 12, 25), date(2026, 12, 26), date(2027, 1, 1)}


@pytest.mark.parametrize(
    ("text", "line", "wrong"),
    [
        ("2026-12-25\nBoxing Day", 2, "begins with no date"),
        ("2026-02-30", 1, "not in the calendar"),
        ("25/12/2026", 1, "begins with no date"),
        (ICS.replace("SUMMARY:Christmas", "RRULE:FREQ=YEARLY"), 6, "rule for repeating"),
        (ICS.replace("DTSTART;VALUE=DATE:20261225\r\n", ""), 6, "without DTSTART"),
        (ICS.replace("DTEND;VALUE=DATE:20261227", "DTEND;VALUE=DATE:20261220"), 7, "before it begins"),
    ],
)
def test_what_is_not_understood_is_named(text: str, line: int, wrong: str) -> None:
    with pytest.raises(HolidaysUnreadable, match=wrong) as error:
        read_holidays(text)
    assert error.value.line == line


def test_a_day_is_open_or_not() -> None:
    day = date(2026, 12, 25)
    assert not WORKDAYS.open_on("sms", day)
    assert WORKDAYS.open_on("letter", day)
    assert WORKDAYS.open_on("sms", day - timedelta(days=1))

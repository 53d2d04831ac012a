"""Holidays from a file: a list of dates, or a calendar as governments publish it (GOV.UK: england-and-wales.ics).

A list has one date a line (``2026-12-25``), then anything; ``#`` begins a comment. A calendar is iCalendar (RFC 5545)
with whole days (``DTSTART;VALUE=DATE``, and ``DTEND``, the day after the last). A rule for repeating (``RRULE``) is
refused, because to overlook one would be to write to people on a holiday.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Final

from invites.errors import InvitesError

_LINE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[\s,;].*)?")
_DAY: Final = re.compile(r"(DTSTART|DTEND)(?:;[^:]*)?:(\d{8})(?:T\S*)?")
_LONGEST: Final = 366


class HolidaysUnreadable(InvitesError):
    """A line of the file is not understood; its text says which and why."""

    def __init__(self, line: int, wrong: str) -> None:
        """Name the line (from 1) and what is wrong with it."""
        self.line, self.wrong = line, wrong
        super().__init__(f"line {line} {wrong}")


def read_holidays(text: str) -> frozenset[date]:
    """Read either kind of file. Raises :class:`HolidaysUnreadable`."""
    text = text.removeprefix("\ufeff")
    return frozenset(_calendar(text) if text.lstrip().upper().startswith("BEGIN:VCALENDAR") else _list(text))


def _list(text: str) -> Iterator[date]:
    for number, line in enumerate(text.splitlines(), 1):
        said = line.partition("#")[0].strip()
        if said:
            found = _LINE.fullmatch(said)
            if found is None:
                raise HolidaysUnreadable(number, "begins with no date such as 2026-12-25")
            yield _date(number, found[1].replace("-", ""))


def _calendar(text: str) -> Iterator[date]:
    begins: date | None = None
    ends: date | None = None
    for number, line in enumerate(text.splitlines(), 1):
        said = line.strip().upper()
        if said.startswith("RRULE"):
            raise HolidaysUnreadable(number, "has a rule for repeating: list the days themselves")
        if said == "BEGIN:VEVENT":
            begins = ends = None
        elif found := _DAY.fullmatch(said):
            day = _date(number, found[2])
            begins, ends = (day, ends) if found[1] == "DTSTART" else (begins, day)
        elif said == "END:VEVENT":
            if begins is None:
                raise HolidaysUnreadable(number, "ends an event without DTSTART")
            yield from _days(number, begins, ends)


def _days(number: int, begins: date, ends: date | None) -> Iterator[date]:
    length = (ends - begins).days if ends is not None else 1
    if not 0 <= length <= _LONGEST:
        raise HolidaysUnreadable(number, "ends an event that ends before it begins, or lasts for more than a year")
    yield from (begins + timedelta(days=after) for after in range(max(1, length)))


def _date(number: int, digits: str) -> date:
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        raise HolidaysUnreadable(number, "names a day that is not in the calendar") from None

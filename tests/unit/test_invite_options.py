from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from invites.options import InviteOptions
from tests.support.people import HOSPITAL, ORGANISATION

LONDON = InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", zone=ZoneInfo("Europe/London"))


def test_the_day_is_the_local_one() -> None:
    assert LONDON.today(datetime(2026, 7, 1, 23, 30, tzinfo=UTC)) == date(2026, 7, 2)
    assert LONDON.today(datetime(2026, 1, 1, 23, 30, tzinfo=UTC)) == date(2026, 1, 1)


def test_the_last_sure_day_is_the_last_whole_one() -> None:
    assert LONDON.last_sure_day(datetime(2026, 7, 1, 22, 59, tzinfo=UTC)) == date(2026, 6, 30)
    assert LONDON.last_sure_day(datetime(2026, 7, 1, 23, 0, tzinfo=UTC)) == date(2026, 7, 1)


def test_only_a_letter_needs_days_on_its_way() -> None:
    expires = datetime(2026, 7, 31, tzinfo=UTC)
    assert LONDON.entry_expires("sms", expires) == expires
    assert LONDON.entry_expires("letter", expires) == datetime(2026, 7, 17, tzinfo=UTC)

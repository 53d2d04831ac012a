from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from invites.forecast import DAYS, Prices, Standing, spread
from invites.rhythm import CallingHours, Rhythm

NOON = datetime(2027, 3, 5, 12, tzinfo=ZoneInfo("Europe/London"))  # a Friday
FREE = Standing({}, None, ())


def days(plan: object) -> list[tuple[str, dict[str, int]]]:
    return [(each.day.isoformat(), each.by_channel) for each in plan.days]  # type: ignore[attr-defined]


def test_without_a_rhythm_all_go_today() -> None:
    plan = spread("RX1", {"sms": 5, "letter": 2}, Rhythm(), FREE, NOON)
    assert days(plan) == [("2027-03-05", {"sms": 5, "letter": 2})]
    assert not plan.later


def test_caps_and_weekends_spread_them() -> None:
    hours = CallingHours(time(20), time(8), frozenset(range(5)))
    rhythm = Rhythm(hours, daily_cap=10, channel_caps={"sms": 6})
    standing = Standing({"": 7, "sms": 5}, None, ())
    plan = spread("RX1", {"sms": 14, "letter": 9}, rhythm, standing, NOON)
    assert days(plan) == [
        ("2027-03-05", {"sms": 1, "letter": 2}),
        ("2027-03-06", {"letter": 7}),
        ("2027-03-08", {"sms": 6}),
        ("2027-03-09", {"sms": 6}),
        ("2027-03-10", {"sms": 1}),
    ]


def test_after_the_hours_of_today_it_is_the_next_day() -> None:
    plan = spread("RX1", {"sms": 1}, Rhythm(CallingHours(time(20), time(8))), FREE, NOON.replace(hour=21))
    assert days(plan) == [("2027-03-06", {"sms": 1})]


def test_a_pause_and_a_canary_leave_the_others_for_later() -> None:
    plan = spread("RX1", {"sms": 5, "letter": 2}, Rhythm(canary=3), Standing({}, 3, ("letter",)), NOON)
    assert days(plan) == [("2027-03-05", {"sms": 3})]
    assert plan.later == {"sms": 2, "letter": 2}


def test_what_takes_longer_is_later() -> None:
    plan = spread("RX1", {"sms": 100}, Rhythm(channel_caps={"sms": 1}), FREE, NOON)
    assert (len(plan.days), plan.later["sms"]) == (DAYS, 100 - DAYS)


def test_money_is_exact() -> None:
    prices = Prices(Decimal("0.0227"), Decimal(0), Decimal("0.62"))
    assert prices.of({"sms": 3, "letter": 2}, 6) == {"sms": Decimal("0.1362"), "email": 0, "letter": Decimal("1.24")}
    assert msgspec.structs.asdict(prices)["email"] == 0

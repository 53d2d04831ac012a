from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from invites.forecast import DAYS, Ahead, Backlog, Due, InOutbox, Invitee, Plan, Prices, Standing
from invites.rehearsal import spread
from invites.rhythm import CallingHours, Reminder, Rhythm

NOON = datetime(2027, 3, 5, 12, tzinfo=ZoneInfo("Europe/London"))  # a Friday
FREE = Standing({}, None, ())


def waiting(**by_channel: int) -> Backlog:
    return Backlog({Invitee(channel): count for channel, count in by_channel.items()})


def days(plan: Plan) -> list[tuple[str, dict[str, int]]]:
    return [(each.day.isoformat(), each.by_channel) for each in plan.days]


def reminder_days(plan: Plan) -> list[tuple[str, dict[str, int]]]:
    return [(each.day.isoformat(), each.by_channel) for each in plan.reminder_days]


def reminded(*dues: Due) -> Ahead:
    """A reminder three days later, with these of old invitations."""
    return Ahead(Reminder(timedelta(days=3), "letter"), iter(dues))


def test_without_a_rhythm_all_go_today() -> None:
    plan = spread("RX1", waiting(sms=5, letter=2), Rhythm(), FREE, NOON)
    assert days(plan) == [("2027-03-05", {"sms": 5, "letter": 2})]
    assert not plan.later


def test_caps_and_weekends_spread_them() -> None:
    hours = CallingHours(time(20), time(8), frozenset(range(5)))
    rhythm = Rhythm(hours, daily_cap=10, channel_caps={"sms": 6})
    standing = Standing({"": 7, "sms": 5}, None, ())
    plan = spread("RX1", waiting(sms=14, letter=9), rhythm, standing, NOON)
    assert days(plan) == [
        ("2027-03-05", {"sms": 1, "letter": 2}),
        ("2027-03-06", {"letter": 7}),
        ("2027-03-08", {"sms": 6}),
        ("2027-03-09", {"sms": 6}),
        ("2027-03-10", {"sms": 1}),
    ]


def test_after_the_hours_of_today_it_is_the_next_day() -> None:
    plan = spread("RX1", waiting(sms=1), Rhythm(CallingHours(time(20), time(8))), FREE, NOON.replace(hour=21))
    assert days(plan) == [("2027-03-06", {"sms": 1})]


def test_a_pause_and_a_canary_leave_the_others_for_later() -> None:
    plan = spread("RX1", waiting(sms=5, letter=2), Rhythm(canary=3), Standing({}, 3, ("letter",)), NOON)
    assert days(plan) == [("2027-03-05", {"sms": 3})]
    assert plan.later == {"sms": 2, "letter": 2}


def test_what_takes_longer_is_later() -> None:
    plan = spread("RX1", waiting(sms=100), Rhythm(channel_caps={"sms": 1}), FREE, NOON)
    assert (len(plan.days), plan.later["sms"]) == (DAYS, 100 - DAYS)


def test_a_reminder_follows_an_invitation_that_is_foreseen() -> None:
    backlog = Backlog({Invitee("sms", "en", ("letter",)): 3, Invitee("sms", "cy", (None,)): 1}, ahead=[reminded()])
    plan = spread("RX1", backlog, Rhythm(channel_caps={"sms": 2}), FREE, NOON)
    assert days(plan) == [("2027-03-05", {"sms": 2}), ("2027-03-06", {"sms": 2})]
    assert sum(each.by_channel["letter"] for each in plan.reminder_days) == 3
    assert [each.day.isoformat() for each in plan.reminder_days] == ["2027-03-08", "2027-03-09"]
    assert plan.reminders == {("letter", "en"): 3}


def test_a_reminder_that_is_due_after_the_days_is_not_in_them() -> None:
    late = Reminder(timedelta(days=DAYS), "letter")
    backlog = Backlog({Invitee("sms", "en", ("letter",)): 3}, ahead=[Ahead(late, iter(()))])
    plan = spread("RX1", backlog, Rhythm(), FREE, NOON)
    assert (plan.reminder_days, plan.reminders, plan.reminders_later) == ([], {}, {})


def test_a_reminder_that_is_due_at_night_goes_out_in_the_morning_and_over_midnight_it_is_another_days() -> None:
    rhythm = Rhythm(CallingHours(time(20), time(8)))
    due = [Due(NOON.replace(hour=19).astimezone(UTC), "sms"), Due(NOON.replace(hour=21).astimezone(UTC), "sms")]
    plan = spread("RX1", Backlog({}, ahead=[reminded(*due)]), rhythm, FREE, NOON)
    assert reminder_days(plan) == [("2027-03-05", {"sms": 1}), ("2027-03-06", {"sms": 1})]


def test_invitations_and_reminders_take_turns_at_a_cap() -> None:
    due = Due(NOON.astimezone(UTC), "sms", count=1000)
    backlog = Backlog({Invitee("sms"): 1000}, ahead=[reminded(due)])
    plan = spread("RX1", backlog, Rhythm(daily_cap=400), FREE, NOON)
    assert days(plan)[0] == ("2027-03-05", {"sms": 200})
    assert reminder_days(plan)[0] == ("2027-03-05", {"sms": 200})


def test_the_canary_holds_no_reminder_up() -> None:
    backlog = Backlog({Invitee("sms"): 5}, ahead=[reminded(Due(NOON.astimezone(UTC), "sms", count=7))])
    plan = spread("RX1", backlog, Rhythm(canary=3), Standing({}, 0, ()), NOON)
    assert (days(plan), reminder_days(plan)) == ([], [("2027-03-05", {"sms": 7})])


def test_what_is_in_the_outbox_takes_its_places_and_is_no_news() -> None:
    issued = InOutbox(NOON.astimezone(UTC), Invitee("sms", "en", ("letter",)))
    backlog = Backlog({Invitee("sms"): 5}, {issued: 4}, [reminded()])
    plan = spread("RX1", backlog, Rhythm(daily_cap=6), FREE, NOON)
    assert days(plan) == [("2027-03-05", {"sms": 2}), ("2027-03-06", {"sms": 3})]
    assert reminder_days(plan) == [("2027-03-08", {"letter": 4})]


def test_money_is_exact() -> None:
    prices = Prices(Decimal("0.0227"), Decimal(0), Decimal("0.62"))
    assert prices.of({"sms": 3, "letter": 2}, 6) == {"sms": Decimal("0.1362"), "email": 0, "letter": Decimal("1.24")}
    assert msgspec.structs.asdict(prices)["email"] == 0

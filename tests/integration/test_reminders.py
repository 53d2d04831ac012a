"""Reminders: once for ever, however often the walk runs and by however many daemons; ended by whatever ends contact."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from invites.channels.channel import EMAIL, LETTER, SMS, Refused
from invites.options import LETTER_NEEDS, InviteOptions
from invites.receipt import Receipt, ReceiptState
from invites.rhythm import LATE, Reminder, Rhythm
from patient_records.model import Standing
from tests.support.people import (
    DEAD,
    HOSPITAL,
    ORGANISATION,
    SMS_ONLY,
    House,
    PlainChannel,
    ScriptedProvider,
    person,
)
from tests.support.query_plans import plans_of, walks_of_whole_tables

WEEK = timedelta(days=7)
TWO = Rhythm(reminders=(Reminder(WEEK, LETTER), Reminder(2 * WEEK, SMS)))
Make = Callable[[Rhythm], House]


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Daemons on one database, each with its reminders."""
    made: list[House] = []

    def start(rhythm: Rhythm) -> House:
        options = InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", rhythm=rhythm)
        made.append(House(database_url, options, made[0].ring if made else None))
        return made[-1]

    yield start
    for house in made:
        house.close()


def invited(house: House, count: int = 1, **given: object) -> list[int]:
    """People whose invitation by text message was accepted."""
    ids = house.arrive([person(number, **given) for number in range(count)])
    house.issue.run()
    house.lane(ScriptedProvider()).run()
    return ids


def by(house: House, channel: str) -> ScriptedProvider:
    provider = ScriptedProvider()
    house.lane(provider, PlainChannel(channel)).run()
    return provider


def test_a_reminder_is_a_new_pair_by_its_own_channel(make: Make) -> None:
    house = make(TWO)
    [record_id] = invited(house)
    house.later(WEEK - timedelta(minutes=1))
    assert house.reminders.run().total == 0
    house.later(timedelta(minutes=2))
    assert house.reminders.run().issued == Counter(letter=1)
    assert house.reminders.run().total == 0
    first, second = house.rows("outbox")
    assert (second["purpose"], second["channel"], second["business_key"]) == (
        "reminder",
        "letter",
        f"{record_id}/reminder/1",
    )
    assert first["access_token_id"] != second["access_token_id"]
    assert [row["wrapped_key"] is not None for row in house.rows("access_tokens")] == [True, True]
    assert len(by(house, LETTER).sent) == 1
    house.later(WEEK)
    assert house.reminders.run().issued == Counter(sms=1)
    assert [(row["number"], row["outcome"]) for row in house.rows("reminders")] == [(1, "letter"), (2, "sms")]
    house.later(10 * WEEK)
    assert house.reminders.run().total == 0
    assert house.issue.run().total == 0


def test_a_reminded_letter_has_its_fourteen_days(make: Make) -> None:
    house = make(TWO)
    invited(house)
    house.later(WEEK)
    house.reminders.run()
    token, entry = house.rows("access_tokens")[1], house.rows("outbox")[1]
    assert int(str(token["expires_at"])) - int(str(entry["expires_at"])) == LETTER_NEEDS // timedelta(microseconds=1)
    house.later(timedelta(days=16, hours=1))
    assert by(house, LETTER).sent == []


def test_two_daemons_remind_nobody_twice(make: Make) -> None:
    one, other = make(TWO), make(TWO)
    invited(one, 250)
    one.later(WEEK)
    other.later(WEEK)
    threads = [threading.Thread(target=house.reminders.run) for house in (one, other, one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    one.reminders.run()
    reminded = Counter(row["record_id"] for row in one.rows("outbox") if row["purpose"] == "reminder")
    assert len(reminded) == 250
    assert set(reminded.values()) == {1}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"death": DEAD}, "deceased"),
        ({"standing": Standing(registered_at=datetime(2026, 1, 1, tzinfo=UTC))}, "registered"),
        ({"standing": Standing(opted_out_at=datetime(2026, 1, 1, tzinfo=UTC))}, "opted_out"),
        ({"home": (), "addresses": ()}, "no_contact"),
    ],
)
def test_what_ends_contact_ends_reminders(make: Make, change: dict[str, object], why: str) -> None:
    house = make(TWO)
    [record_id] = invited(house)
    house.change(record_id, **change)  # type: ignore[arg-type]
    house.later(WEEK)
    assert house.reminders.run().total == 0
    assert house.rows("reminders")[0]["outcome"] == why


def test_a_death_cancels_a_reminder_that_is_queued(make: Make) -> None:
    house = make(TWO)
    [record_id] = invited(house)
    house.later(WEEK)
    house.reminders.run()
    house.change(record_id, death=DEAD)
    assert house.rows("outbox")[1]["state"] == "cancelled"


def test_who_has_no_address_is_reminded_by_the_first_channel_that_works(make: Make) -> None:
    house = make(TWO)
    invited(house, addresses=())
    house.later(WEEK)
    assert house.reminders.run().issued == Counter(sms=1)


def test_a_reminder_that_fails_is_followed_by_no_other_channel(make: Make) -> None:
    house = make(TWO)
    invited(house)
    house.later(WEEK)
    house.reminders.run()
    provider = ScriptedProvider()
    provider.outcome = Refused("no")
    house.lane(provider, PlainChannel(LETTER)).run()
    assert [row["state"] for row in house.rows("outbox")] == ["accepted", "refused"]
    assert by(house, EMAIL).sent == []
    house.later(WEEK)
    assert house.reminders.run().issued == Counter(sms=1)


def test_who_was_not_reached_is_not_reminded(make: Make) -> None:
    house = make(TWO)
    invited(house, home=SMS_ONLY, addresses=())
    reference = str(house.rows("outbox")[0]["reference"])
    house.receipts.take(
        [Receipt("scripted", ReceiptState.FAILED, datetime(2026, 1, 1, tzinfo=UTC), reference=reference)]
    )
    house.later(WEEK)
    assert house.reminders.run().total == 0
    assert house.rows("reminders")[0]["outcome"] == "not_reached"


def test_a_reminder_configured_today_reaches_nobody_of_long_ago(make: Make) -> None:
    house = make(Rhythm())
    invited(house)
    house.later(WEEK + LATE + timedelta(hours=1))
    late = make(TWO)
    late.database.shift = house.database.shift
    assert late.reminders.run().issued == Counter(sms=1)  # the second is not too late yet
    assert [(row["number"], row["outcome"]) for row in house.rows("reminders")] == [(2, "sms")]


def test_a_cap_lets_reminders_wait_for_the_next_day(make: Make) -> None:
    house = make(Rhythm(reminders=TWO.reminders[:1], channel_caps={LETTER: 2}))
    ids = invited(house, 5)
    house.later(WEEK)
    found = house.reminders.run()
    assert (found.issued, found.waiting) == (Counter(letter=2), 3)
    assert house.reminders.run().total == 0
    assert len(by(house, LETTER).sent) == 2
    for reminded in (4, 5):
        house.later(timedelta(days=1))
        house.reminders.run()
        by(house, LETTER)
        assert len(house.rows("outbox", purpose="reminder")) == reminded
    assert {row["record_id"] for row in house.rows("outbox", purpose="reminder")} == set(ids)


def test_reminders_read_no_table_from_end_to_end(sqlite_url: str) -> None:
    options = InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", rhythm=TWO)
    house = House(sqlite_url, options)
    invited(house, 3)
    house.later(WEEK)
    with plans_of(house.database) as steps:
        assert house.reminders.run().total == 3
    house.close()
    assert walks_of_whole_tables(steps) == []

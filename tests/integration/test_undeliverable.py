"""Whom no channel reached, for certain: not invited for ever, and not tried for ever either."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from invites.channels.channel import NotSent, Outcome, Refused
from invites.outlook import Outlook
from patient_records.model import MOBILE, Address, ContactPoint, Standing
from tests.support.people import EMAIL_ONLY, SMS_ONLY, House, PlainChannel, ScriptedProvider, person

NEW_NUMBER = (ContactPoint(MOBILE, "+447700900999"),)
CHANNELS = ("sms", "email", "letter")


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def failed(house: House, outcome: Outcome, **given: Any) -> int:
    """Somebody whose every channel ended with that outcome."""
    [record_id] = house.arrive([person(**given)])
    house.issue.run()
    run(house, outcome)
    house.later(timedelta(hours=48))
    run(house, outcome)
    return record_id


def run(house: House, outcome: Outcome) -> None:
    """Run a lane of each channel, whose provider answers so."""
    for kind in CHANNELS:
        provider = ScriptedProvider()
        provider.outcome = outcome
        house.lane(provider, PlainChannel(kind)).run()


def states(house: House) -> list[tuple[object, object]]:
    return [(row["channel"], row["state"]) for row in house.rows("outbox")]


def test_an_outage_of_two_days_is_followed_by_a_new_invitation_after_a_rest(house: House) -> None:
    record_id = failed(house, NotSent("spool_full"), addresses=(), home=SMS_ONLY)
    assert house.state(record_id) == "undeliverable"
    for _ in range(3):
        assert house.issue.run().total == 0
    house.later(timedelta(days=2))
    assert house.issue.run().total == 1
    assert house.state(record_id) == "invited"
    assert [row["number"] for row in house.rows("invitations")] == [1, 2]
    assert states(house) == [("sms", "given_up"), ("sms", "queued")]


def test_who_was_refused_by_every_channel_is_not_tried_again_and_again(house: House) -> None:
    record_id = failed(house, Refused("no"))
    assert house.state(record_id) == "undeliverable"
    for _ in range(5):
        house.later(timedelta(days=2))
        assert house.issue.run().total == 0
    assert house.state(record_id) == "undeliverable"
    assert len(states(house)) == 3


def test_a_new_number_is_a_new_chance_for_that_channel_alone(house: House) -> None:
    record_id = failed(house, Refused("no"))
    house.change(record_id, home=NEW_NUMBER + EMAIL_ONLY)
    assert house.state(record_id) == "eligible"
    assert dict(Outlook(house.database, house.records, house.options).forecast().by_channel) == {"sms": 1}
    assert house.issue.run().issued == {"sms": 1}
    run(house, Refused("no"))
    assert states(house)[3:] == [("sms", "refused")]
    assert house.state(record_id) == "undeliverable"


def test_a_first_address_is_a_chance_for_its_channel(house: House) -> None:
    record_id = failed(house, Refused("no"), addresses=(), home=SMS_ONLY)
    house.change(record_id, home=SMS_ONLY + EMAIL_ONLY)
    assert house.state(record_id) == "eligible"
    assert house.issue.run().issued == {"email": 1}


@pytest.mark.parametrize(
    "change",
    [
        {"home": SMS_ONLY + NEW_NUMBER + EMAIL_ONLY},
        {"language": "cy"},
        {"addresses": (Address(lines=("1 Long Lane",), city="Exampleton", postcode="EX1 1AA", country="GBR"),)},
    ],
)
def test_a_change_that_leads_nowhere_else_is_no_new_chance(house: House, change: dict[str, Any]) -> None:
    record_id = failed(house, Refused("no"))
    house.change(record_id, **change)
    assert house.state(record_id) == "undeliverable"


def test_a_hold_in_between_changes_nothing(house: House) -> None:
    record_id = failed(house, Refused("no"))
    house.change(record_id, standing=Standing(hold="query"))
    assert house.state(record_id) == "held"
    house.change(record_id, standing=Standing())
    assert house.state(record_id) == "undeliverable"


def test_refused_without_an_attempt_on_the_last_channel_is_no_invitation(house: House) -> None:
    [record_id] = house.arrive([person(addresses=(), home=SMS_ONLY)])
    house.issue.run()
    channel = PlainChannel("sms")
    channel.refusing = "sms_too_long"
    house.lane(ScriptedProvider(), channel).run()
    assert house.state(record_id) == "undeliverable"


def test_who_may_have_been_reached_by_one_channel_stays_invited(house: House) -> None:
    [record_id] = house.arrive([person(addresses=(), home=SMS_ONLY)])
    house.issue.run()
    provider = ScriptedProvider()
    provider.script = [TimeoutError()]
    house.lane(provider).run()
    house.later(timedelta(days=31))
    house.sweep.run()
    assert states(house) == [("sms", "given_up")]
    house.change(record_id, home=NEW_NUMBER)
    assert house.state(record_id) == "invited"
    assert house.issue.run().total == 0

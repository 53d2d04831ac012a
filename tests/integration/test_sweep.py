from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from invites.channels.channel import Settlement, Unknown
from invites.sweep import SweepReport, fingerprint
from patient_records.model import BirthDate
from tests.support.people import EMAIL_ONLY, House, ScriptedProvider, person


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    built.sweep.run()
    yield built
    built.close()


def turns_sixteen_in(days: int) -> BirthDate:
    birthday = datetime.now(UTC).date() + timedelta(days=days)
    return BirthDate(f"{birthday.year - 16}{birthday.month:02}{birthday.day:02}")


def test_who_comes_of_age_is_found_within_a_day(house: House) -> None:
    soon, later = house.arrive([person(1, birth=turns_sixteen_in(3)), person(2, birth=turns_sixteen_in(300))])
    assert house.sweep.run() == SweepReport()
    house.later(timedelta(days=4))
    assert house.sweep.run().looked_at_again == 2
    assert house.sweep.run() == SweepReport()
    assert house.state(soon) == "eligible"
    assert house.state(later) == "under_age"
    assert house.issue.run().total == 1


def test_a_new_policy_reaches_those_whom_no_message_touches(database_url: str) -> None:
    house = House(database_url)
    ids = house.arrive([person(number, home=EMAIL_ONLY, addresses=()) for number in range(450)])
    options = msgspec.structs.replace(
        house.options, policy=msgspec.structs.replace(house.options.policy, channels=("sms",))
    )
    stricter = House(database_url, options, ring=house.ring)
    assert stricter.sweep.run().looked_at_again == 450
    assert {row["state"] for row in stricter.rows("eligibility")} == {"no_contact"}
    assert stricter.sweep.run() == SweepReport()
    assert house.sweep.run().looked_at_again == 450
    assert house.issue.run().total == len(ids)
    stricter.close()
    house.close()


def test_a_walk_that_was_stopped_goes_on_where_it_was(database_url: str) -> None:
    house = House(database_url)
    house.arrive([person(number) for number in range(450)])
    asked: list[int] = []

    def after_a_while() -> bool:
        asked.append(1)
        return len(asked) > 6

    first = house.sweep.run(after_a_while).looked_at_again
    assert 0 < first < 450
    assert house.sweep.run().looked_at_again == 450 - first
    house.close()


def test_fingerprints_tell_policies_apart(house: House) -> None:
    policy = house.options.policy
    changes: list[dict[str, Any]] = [
        {"minimum_age": 18},
        {"channels": ("sms",)},
        {"test_patients": None},
        {"excluded_senders": frozenset({"A|B"})},
        {"confidentiality": msgspec.structs.replace(policy.confidentiality, publicity=frozenset())},
    ]
    others = {fingerprint(msgspec.structs.replace(policy, **change)) for change in changes}
    assert len(others | {fingerprint(policy)}) == len(changes) + 1
    assert fingerprint(msgspec.structs.replace(policy)) == fingerprint(policy)


def test_an_entry_that_nobody_sent_in_time_expires_and_the_person_is_eligible_again(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    house.later(timedelta(days=30))
    report = house.sweep.run()
    assert (report.entries, report.pairs) == (1, 0)
    [entry], [token] = house.rows("outbox"), house.rows("access_tokens")
    assert (entry["state"], entry["sealed_payload"]) == ("expired", None)
    assert token["wrapped_key"] is None
    assert house.state(record_id) == "eligible"


def test_an_unknown_entry_that_expires_is_given_up_and_the_person_stays_invited(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    provider = ScriptedProvider(Settlement.NEITHER)
    provider.outcome = Unknown("timeout")
    house.lane(provider).run()
    house.later(timedelta(days=30))
    report = house.sweep.run()
    assert (report.entries, report.pairs) == (1, 1)
    [entry] = house.rows("outbox")
    assert (entry["state"], entry["sealed_payload"], entry["sealed_request"]) == ("given_up", None, None)
    assert house.state(record_id) == "invited"

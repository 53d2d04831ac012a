from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from invites import repository
from invites.channels.channel import Settlement, Unknown
from invites.policy_walk import fingerprint
from invites.sweep import SweepReport
from patient_records.model import BirthDate
from tests.support.patience import eventually
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


def test_pairs_expire_in_the_order_in_which_a_death_ends_them(postgres_url: str) -> None:
    """Both lock the record, then the invitation, then the token, so that neither waits for the other in a ring."""
    house = House(postgres_url)
    [record_id] = house.arrive([person()])
    house.issue.run()
    house.lane(ScriptedProvider()).run()
    house.later(timedelta(days=31))
    locked, expiring = threading.Event(), threading.Event()
    ended: list[int] = []

    def expire() -> None:
        assert locked.wait(30)
        with house.database.begin() as connection:
            now = house.database.now(connection)
            expiring.set()
            ended.append(repository.expire_tokens(connection, limit=9, now=now))

    other = threading.Thread(target=expire)
    other.start()
    with house.database.begin() as connection:
        house.records.load(connection, [record_id], lock=True)
        repository.end_invitations_of(connection, [record_id], "deceased", house.database.now(connection))
        locked.set()
        assert expiring.wait(30)
        until_it_waits(house)
        repository.end_tokens_of(connection, [record_id], "deceased", house.database.now(connection))
    other.join(30)
    assert len(ended) == 1
    assert house.rows("access_tokens")[0]["end_reason"] == "deceased"
    assert house.rows("invitations")[0]["end_reason"] == "deceased"
    house.close()


def until_it_waits(house: House) -> None:
    """Wait until one connection of this database waits for a lock."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def count() -> int:
        with house.database.read() as connection:
            return connection.scalar(waiting) or 0

    eventually(count, "a connection that waits for a lock")

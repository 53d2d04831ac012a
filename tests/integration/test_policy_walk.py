"""A policy that is new reaches everybody once, whoever else runs under another one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from invites import eligibility, policy_walk
from invites.cohorts import Cohort
from invites.eligibility import Policy
from invites.policy_walk import fingerprint
from patient_records.model import BirthDate, PersonName
from tests.support.people import ORGANISATION, House, ScriptedProvider, person

Beside = Callable[[Policy], House]


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def beside(house: House, database_url: str) -> Iterator[Beside]:
    """Another daemon on the same database, with a policy of its own."""
    made: list[House] = []

    def start(policy: Policy) -> House:
        made.append(House(database_url, msgspec.structs.replace(house.options, policy=policy), ring=house.ring))
        return made[-1]

    yield start
    for other in made:
        other.close()


def test_two_policies_at_once_walk_once_each(house: House, beside: Beside) -> None:
    house.arrive([person(number) for number in range(450)])
    other = beside(Policy(minimum_age=18))
    asked = iter(range(5))
    began = house.sweep.run(lambda: next(asked, None) is None).looked_at_again
    assert 0 <= began < 450
    assert other.sweep.run().looked_at_again == 450
    assert began + house.sweep.run().looked_at_again == 450
    assert [each.sweep.run().looked_at_again for each in (other, house, other, house)] == [0, 0, 0, 0]


def test_who_starts_again_under_the_policy_that_was_begun_last_does_not_walk(house: House, beside: Beside) -> None:
    house.arrive([person(number) for number in range(3)])
    house.sweep.run()
    stricter = Policy(minimum_age=18)
    assert beside(stricter).sweep.run().looked_at_again == 3
    assert beside(stricter).sweep.run().looked_at_again == 0
    assert beside(house.options.policy).sweep.run().looked_at_again == 3


def test_a_walk_passes_over_the_people_of_others(house: House) -> None:
    theirs = house.arrive([person(number) for number in range(250)], "RX2")
    mine = house.arrive([person(number) for number in range(1000, 1003)])
    assert house.sweep.run().looked_at_again == len(mine)
    [walk] = house.rows("policy_walks")
    assert (walk["organisation"], walk["through"], walk["finished_at"] is not None) == (ORGANISATION, max(mine), True)
    assert min(mine) > max(theirs)


def test_a_rule_that_begins_to_exclude_somebody_ends_what_is_under_way(house: House, beside: Beside) -> None:
    sent, queued, other = house.arrive([person(1), person(2), person(3, sender="KIOSK|RX1")])
    house.sweep.run()
    house.issue.run(limit=1)
    house.lane(ScriptedProvider()).run()
    house.issue.run()
    stricter = beside(Policy(excluded_senders=frozenset({"PAS|RX1"})))
    assert stricter.sweep.run().looked_at_again == 3
    for record_id in (sent, queued):
        [token], [invitation] = (house.rows(name, record_id=record_id) for name in ("access_tokens", "invitations"))
        assert (token["end_reason"], token["wrapped_key"]) == ("excluded_sender", None)
        assert invitation["ended_at"] is not None
    states = [(house.state(id_), house.rows("outbox", record_id=id_)[0]["state"]) for id_ in (sent, queued, other)]
    assert states == [("invited", "accepted"), ("excluded_sender", "cancelled"), ("invited", "queued")]
    assert house.rows("eligibility", record_id=sent)[0]["reasons"] == "invited,excluded_sender"
    assert house.rows("access_tokens", record_id=other)[0]["ended_at"] is None


def test_who_was_excluded_before_is_not_stopped_again(house: House, beside: Beside) -> None:
    [record_id] = house.arrive([person(names=(PersonName(family="XXTEST", given="Ada"),))])
    [token] = house.arrive([person(2)])
    house.issue.run()
    assert (house.state(record_id), house.state(token)) == ("test_patient", "invited")
    beside(Policy(minimum_age=18)).sweep.run()
    assert house.rows("access_tokens")[0]["ended_at"] is None


def test_fingerprints_see_the_whole_of_a_long_pattern_and_its_flags() -> None:
    names = "|".join(f"NAME{number}" for number in range(60))
    patterns = [re.compile(names), re.compile(names + "|OTHER"), re.compile(names, re.IGNORECASE)]
    assert len({fingerprint(Policy(test_patients=pattern)) for pattern in patterns}) == len(patterns)
    assert fingerprint(Policy(test_patients=re.compile(names))) == fingerprint(Policy(test_patients=patterns[0]))


def test_a_new_version_of_the_rules_is_a_new_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    before = fingerprint(Policy())
    monkeypatch.setattr(policy_walk, "RULES", eligibility.RULES + 1)
    assert fingerprint(Policy()) != before


def test_a_smaller_cohort_reaches_everybody_and_ends_nothing_that_was_sent(house: House, beside: Beside) -> None:
    sent, queued, free = house.arrive([person(1), person(2), person(3, sender="KIOSK|RX1")])
    house.issue.run(limit=1)
    house.lane(ScriptedProvider()).run()
    house.issue.run(limit=1)
    small = beside(Policy(cohorts=(Cohort(senders=frozenset({"KIOSK|RX1"})),)))
    assert small.sweep.run().looked_at_again == 3
    assert [house.state(id_) for id_ in (sent, queued, free)] == ["invited", "invited", "eligible"]
    assert house.rows("access_tokens", record_id=sent)[0]["ended_at"] is None
    provider = ScriptedProvider()
    small.lane(provider).run()
    assert (provider.sent, house.rows("outbox", record_id=queued)[0]["code"]) == ([], "outside_cohort")
    assert house.state(queued) == "outside_cohort"
    beside(Policy()).sweep.run()
    assert house.state(queued) == "eligible"


def test_a_cohort_of_an_age_is_entered_on_a_birthday(house: House, beside: Beside) -> None:
    policy = Policy(minimum_age=0, cohorts=(Cohort(minimum_age=18),))
    born = datetime.now(UTC).date() + timedelta(days=3)
    small = beside(policy)
    [record_id] = small.arrive([person(birth=BirthDate(f"{born.year - 18}{born:%m%d}"))])
    assert house.state(record_id) == "outside_cohort"
    assert small.issue.run().total == 0
    small.later(timedelta(days=4))
    assert small.issue.run().total == 1

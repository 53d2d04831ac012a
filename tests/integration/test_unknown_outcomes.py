"""Outcomes that nobody can know at once, leases that lapse, and the fence that keeps late answers in their place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from invites import outbox
from invites.channels.channel import SMS, Accepted, NotSent, Refused, Settlement, Unknown
from invites.options import InviteOptions
from invites.rhythm import Rhythm
from invites.settle import _Repeat
from tests.support.outbox_rows import entry, queued
from tests.support.people import DEAD, HOSPITAL, ORGANISATION, House, ScriptedProvider


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def capped(database_url: str) -> Iterator[House]:
    """A house that sends three messages a day."""
    zone, rhythm = ZoneInfo("Europe/London"), Rhythm(daily_cap=3)
    built = House(
        database_url, InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", zone=zone, rhythm=rhythm)
    )
    yield built
    built.close()


def test_an_exception_out_of_a_provider_is_unknown(house: House) -> None:
    queued(house)
    provider = ScriptedProvider()
    provider.script = [ConnectionResetError()]
    assert house.lane(provider).run().outcomes == Counter(unknown=1)
    row = entry(house)
    assert (row["state"], row["code"]) == ("unknown", "ConnectionResetError")


def test_unknown_is_never_sent_again_by_a_provider_that_can_neither(house: House) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.NEITHER)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    lane.run()
    for _ in range(5):
        house.later(timedelta(hours=2))
        lane.run()
    assert len(provider.sent) == 1
    row = entry(house)
    assert (row["state"], row["due_at"]) == ("unknown", None)


def test_unknown_is_settled_by_sending_the_same_request_where_that_is_safe(house: House) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(minutes=1))
    assert lane.run().settled == 1
    first, second = provider.sent
    assert first == second
    assert entry(house)["state"] == "accepted"
    assert [(row["number"], row["outcome"]) for row in house.rows("attempts")] == [(1, "unknown"), (2, "accepted")]


def test_unknown_is_not_sent_again_to_somebody_who_died_meanwhile(house: House) -> None:
    [record_id] = queued(house)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    lane.run()
    house.change(record_id, death=DEAD)
    house.later(timedelta(minutes=1))
    lane.run()
    assert len(provider.sent) == 1
    row = entry(house)
    assert (row["state"], row["sealed_payload"], row["sealed_request"]) == ("given_up", None, None)


@pytest.mark.parametrize(
    ("found", "state", "sent"),
    [
        (Accepted("found"), "accepted", 1),
        (NotSent("not_there"), "queued", 1),
        (Unknown("no_answer"), "unknown", 1),
        (Refused("bounced"), "refused", 1),
    ],
)
def test_unknown_is_settled_by_searching(
    house: House, found: Accepted | NotSent | Unknown | Refused, state: str, sent: int
) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    provider.script = [Unknown("timeout")]
    provider.found = found
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(minutes=1))
    lane.run()
    row = entry(house)
    assert row["state"] == state
    assert provider.searched == [row["reference"]]
    assert len(provider.sent) == sent


def test_unknown_that_nobody_can_settle_in_two_days_waits_for_a_person(house: House) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    lane.run()
    for _ in range(60):
        house.later(timedelta(hours=1, minutes=15))
        lane.run()
    row = entry(house)
    assert (row["state"], row["due_at"]) == ("unknown", None)


def test_an_unknown_of_another_provider_is_left_to_a_person(house: House) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.DEDUPLICATES, name="before")
    provider.script = [Unknown("timeout")]
    house.lane(provider).run()
    house.later(timedelta(minutes=1))
    house.lane(ScriptedProvider(Settlement.DEDUPLICATES, name="now")).run()
    row = entry(house)
    assert (row["state"], row["due_at"]) == ("unknown", None)


def test_a_lapsed_lease_before_sending_is_free_again(house: House) -> None:
    queued(house)
    with house.database.begin() as connection:
        outbox.claim(connection, SMS, "gone", lease=timedelta(minutes=5), limit=9, now=house.database.now(connection))
    assert house.lane(ScriptedProvider()).run().outcomes == Counter()
    house.later(timedelta(minutes=6))
    assert house.sweep.run().lapsed == 1
    assert house.lane(ScriptedProvider()).run().outcomes == Counter(accepted=1)


def test_a_lease_that_lapses_while_sending_is_unknown_and_the_late_truth_still_counts(house: House) -> None:
    queued(house)
    provider = ScriptedProvider()
    seen: list[object] = []

    def lapse() -> None:
        house.later(timedelta(minutes=6))
        house.sweep.run()
        seen.append(entry(house)["state"])

    provider.before_answering = lapse
    house.lane(provider).run()
    assert seen == ["unknown"]
    assert entry(house)["state"] == "accepted"


def test_an_answer_to_an_attempt_that_was_overtaken_changes_nothing(house: House) -> None:
    queued(house)
    slow = ScriptedProvider(Settlement.DEDUPLICATES)
    slow.script = [NotSent("too_late")]
    other = ScriptedProvider(Settlement.DEDUPLICATES)

    def overtake() -> None:
        house.later(timedelta(minutes=6))
        house.sweep.run()
        assert house.lane(other).run().settled == 1

    slow.before_answering = overtake
    house.lane(slow).run()
    row = entry(house)
    assert (row["state"], row["attempt"]) == ("accepted", 2)
    assert [row["outcome"] for row in house.rows("attempts")] == ["unknown", "accepted"]


def test_a_repeat_that_was_not_begun_gives_back_no_place_that_it_never_took(
    capped: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = capped
    queued(house, 2)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [TimeoutError("lost"), TimeoutError("lost")]
    house.lane(provider).run()
    house.later(timedelta(minutes=10))
    seconds = [0.0]
    lane = house.lane(provider, elapsed=lambda: seconds[0])
    mark = lane._settle._mark

    def slowly(repeats: list[_Repeat]) -> list[_Repeat]:
        """By then half of the lease is over."""
        seconds[0] = 1000.0
        return mark(repeats)

    monkeypatch.setattr(lane._settle, "_mark", slowly)
    lane.run()
    assert [row["outcome"] for row in house.rows("attempts")].count("not_begun") == 2
    assert {row["channel"]: row["started"] for row in house.rows("tallies")} == {"": 2, SMS: 2}

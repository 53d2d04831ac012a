"""A call that was never made is no attempt: nothing is learned, nothing is counted, and the entry is due at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from invites.channels.channel import SMS, NotSent, Settlement, Unknown
from invites.dispatch import Dispatch
from invites.options import Lane
from tests.support.outbox_rows import entry, queued
from tests.support.people import House, PlainChannel, ScriptedProvider


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def run_and_stop_at(lane: Dispatch, marking: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the lane, told to stop after everything is marked and before any call begins."""
    stopped: list[bool] = []
    mark = getattr(marking, name)

    def then_stop(*given: object) -> object:
        done = mark(*given)
        stopped.append(True)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(marking, name, then_stop)
        return lane.run(lambda: bool(stopped))


def test_it_is_due_at_once_and_no_outcome(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(house)
    provider = ScriptedProvider()
    lane = house.lane(provider)
    report = run_and_stop_at(lane, lane, "_mark", monkeypatch)
    assert provider.sent == []
    assert (report.outcomes, report.dropped) == (Counter(), Counter(not_begun=1))
    row = entry(house)
    assert (row["state"], row["code"], row["lease_owner"]) == ("queued", "not_begun", None)
    assert [row["outcome"] for row in house.rows("attempts")] == ["not_begun"]
    assert lane.run().outcomes == Counter(accepted=1)


def test_it_never_gives_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(house)
    provider = ScriptedProvider()
    provider.script = [NotSent("busy")]
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(days=3))
    run_and_stop_at(lane, lane, "_mark", monkeypatch)
    assert entry(house)["state"] == "queued"
    assert lane.run().outcomes == Counter(accepted=1)


def test_it_starts_no_clock_and_lengthens_no_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(house)
    provider = ScriptedProvider()
    provider.outcome = NotSent("busy")
    lane = house.lane(provider)
    for _ in range(8):
        run_and_stop_at(lane, lane, "_mark", monkeypatch)
    house.later(timedelta(days=3))
    assert lane.run().outcomes == Counter(not_sent=1)
    row = entry(house)
    assert (row["state"], row["attempt"]) == ("queued", 9)
    house.later(timedelta(seconds=37))  # the first wait, of 30 s, and a fifth
    assert lane.run().outcomes == Counter(not_sent=1)


def test_a_repeat_that_was_not_begun_stays_unknown_and_due(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(hours=3))
    run_and_stop_at(lane, lane._settle, "_mark", monkeypatch)
    assert len(provider.sent) == 1
    assert entry(house)["state"] == "unknown"
    assert [row["outcome"] for row in house.rows("attempts")] == ["unknown", "not_begun"]
    lane.run()
    assert entry(house)["state"] == "accepted"


def test_a_search_that_was_not_begun_leaves_the_attempt_as_it_was(house: House) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(hours=3))
    lane._settle(lambda: False)
    assert provider.searched == []
    assert [(row["outcome"], row["code"]) for row in house.rows("attempts")] == [("unknown", "timeout")]
    lane.run()
    assert len(provider.searched) == 1


def test_slow_rendering_gives_the_rest_of_a_batch_back_in_time(house: House) -> None:
    """Thirty seconds a message, under a lease of five minutes: no batch would ever begin if all were rendered first."""
    queued(house, 10)
    clock, provider, channel = [0.0], ScriptedProvider(), PlainChannel(SMS)

    def take_a_while() -> None:
        clock[0] += 30.0

    channel.before_rendering = take_a_while
    lane = Dispatch(
        house.database,
        house.records,
        Lane(channel, provider),
        house.options,
        onward=house.onward,
        finish=house.finish,
        ids=house.ids,
        elapsed=lambda: clock[0],
    )
    house.lanes.append(lane)
    report = lane.run(lambda: clock[0] > 3000)
    assert report.outcomes == Counter(accepted=10)
    assert report.dropped == Counter(given_back=7 + 4 + 1)
    assert len(channel.texts) == 10

"""A provider that asks to be left alone is, by its whole lane: one 429 is not followed by one for each message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from invites.channels.channel import Accepted, NotSent, Outcome, Request, Settlement, Unknown
from invites.dispatch import Dispatch
from invites.left_alone import LONGEST
from invites.options import InviteOptions
from tests.support.outbox_rows import queued
from tests.support.people import HOSPITAL, ORGANISATION, House, ScriptedProvider

HALF = LONGEST / 2


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    """A house that calls one provider at a time."""
    zone = ZoneInfo("Europe/London")
    built = House(database_url, InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", zone=zone, senders=1))
    yield built
    built.close()


class Clock:
    """Seconds that pass when a test says so, in the house, too."""

    def __init__(self, house: House) -> None:
        self.seconds = 0.0
        self._house = house

    def __call__(self) -> float:
        return self.seconds

    def later(self, by: timedelta) -> None:
        self.seconds += by.total_seconds()
        self._house.later(by)


def test_nobody_else_is_tried_before_the_time_that_it_asked_for(house: House) -> None:
    queued(house, 120)
    clock, provider = Clock(house), ScriptedProvider()
    provider.script = [NotSent("busy", HALF)]
    lane = house.lane(provider, elapsed=clock)
    report = lane.run()
    assert (report.outcomes, report.dropped) == (Counter(not_sent=1), Counter(not_begun=49))
    clock.later(HALF - timedelta(seconds=1))
    assert lane.run().outcomes == Counter()
    clock.later(timedelta(seconds=40))
    assert lane.run().outcomes == Counter(accepted=120)
    assert [row["outcome"] for row in house.rows("attempts")].count("not_sent") == 1


def test_a_provider_that_wants_a_day_is_asked_again_before(house: House) -> None:
    """Somebody may have raised the limit; and only who was really tried begins to wait to be given up."""
    queued(house, 60)
    clock, provider = Clock(house), ScriptedProvider()
    provider.outcome = NotSent("daily_limit", timedelta(hours=9))
    lane = house.lane(provider, elapsed=clock)
    for _ in range(3):
        lane.run()
        clock.later(LONGEST)
    assert len(provider.sent) == 3
    assert Counter(row["outcome"] for row in house.rows("attempts")) == Counter(not_sent=3, not_begun=49)
    provider.outcome = Accepted("theirs")
    assert lane.run().outcomes == Counter(accepted=57)


def test_what_failed_for_itself_holds_up_nobody(house: House) -> None:
    queued(house, 3)
    provider = ScriptedProvider()
    provider.script = [NotSent("greylisted")]
    assert house.lane(provider).run().outcomes == Counter(not_sent=1, accepted=2)


def test_what_is_unknown_waits_as_well(house: House) -> None:
    queued(house, 2)
    clock, provider = Clock(house), ScriptedProvider(Settlement.SEARCHABLE)
    provider.script = [Unknown("timeout"), NotSent("busy", LONGEST)]
    provider.found = Accepted("theirs")
    lane = house.lane(provider, elapsed=clock)
    lane.run()
    house.later(timedelta(minutes=5))  # the database's clock: what is unknown is due
    assert (lane.run().settled, provider.searched) == (0, [])
    clock.later(LONGEST)
    assert lane.run().settled == 1


def test_repeats_are_not_sent_into_the_silence_either(house: House) -> None:
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    clock, lane = all_unknown(house, provider, 20)
    provider.script = [NotSent("busy", HALF)]
    assert lane.run().settled == 20
    assert len(provider.sent) == 21
    clock.later(HALF - timedelta(seconds=1))
    lane.run()
    assert len(provider.sent) == 21
    clock.later(timedelta(minutes=5))
    lane.run()
    assert (len(provider.sent), len({request.reference for request in provider.sent})) == (41, 20)
    assert {row["state"] for row in house.rows("outbox")} == {"accepted"}


def all_unknown(house: House, provider: ScriptedProvider, count: int) -> tuple[Clock, Dispatch]:
    """So many entries of which nobody knows whether they were sent, due; then what is sent is taken."""
    queued(house, count)
    clock, provider.outcome = Clock(house), Unknown("timeout")
    lane = house.lane(provider, elapsed=clock)
    assert lane.run().outcomes == Counter(unknown=count)
    provider.outcome = Accepted("theirs")
    clock.later(timedelta(minutes=5))
    return clock, lane


class Grudging(ScriptedProvider):
    """Takes what is new, and wants to be left alone about what it has had before."""

    def send(self, request: Request) -> Outcome:
        again = request.reference in {each.reference for each in self.sent}
        said = super().send(request)
        return NotSent("key_in_use", LONGEST) if again else said


def test_a_provider_that_is_silent_about_repeats_keeps_nobody_new_waiting(house: House) -> None:
    clock, lane = all_unknown(house, Grudging(Settlement.DEDUPLICATES), 60)
    queued(house, 20, first=100)
    accepted = 0
    for _ in range(3):
        accepted += lane.run().outcomes["accepted"]
        clock.later(LONGEST)
    assert accepted == 20


def test_a_silence_about_repeats_costs_those_that_were_not_tried_nearly_nothing(house: House) -> None:
    clock, lane = all_unknown(house, Grudging(Settlement.DEDUPLICATES), 60)
    for _ in range(10):
        lane.run()
        clock.later(timedelta(minutes=5))
    outcomes = Counter(row["outcome"] for row in house.rows("attempts"))
    assert outcomes["not_begun"] < house.options.claim_batch  # the first time, and from then on it is tried with few


def test_questions_are_not_put_into_the_silence_either(house: House) -> None:
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    clock, lane = all_unknown(house, provider, 20)
    provider.found = Unknown("search_429", HALF)
    lane.run()
    assert len(provider.searched) == 1
    provider.found = Accepted("theirs")
    clock.later(timedelta(minutes=5))
    lane.run()
    assert {row["state"] for row in house.rows("outbox")} == {"accepted"}


def test_new_messages_that_are_taken_do_not_hide_the_silence_about_repeats(house: House) -> None:
    clock, lane = all_unknown(house, Grudging(Settlement.DEDUPLICATES), 60)
    for number in range(8):
        queued(house, 1, first=100 + number)
        lane.run()
        clock.later(timedelta(minutes=5))
    outcomes = Counter(row["outcome"] for row in house.rows("attempts"))
    assert outcomes["accepted"] == 8
    assert outcomes["not_begun"] < house.options.claim_batch


class Slow(ScriptedProvider):
    """Each question takes ten seconds, and is not answered."""

    clock: Clock

    def search(self, reference: str) -> Outcome:
        if len(self.searched) < 300:  # else a lane that asks for ever would not end
            self.clock.later(timedelta(seconds=10))
        return super().search(reference)


def test_questions_without_end_leave_new_messages_their_turn(house: House) -> None:
    """The first is due again before the last was put."""
    provider = Slow(Settlement.SEARCHABLE)
    provider.clock, lane = all_unknown(house, provider, 30)
    queued(house, 1, first=100)
    assert lane.run().outcomes == Counter(accepted=1)
    assert len(provider.searched) <= 30

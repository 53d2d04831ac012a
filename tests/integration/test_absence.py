"""A search that finds nothing is believed the second time only: until then a message may be there all the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from daemon.fake_providers.script import Act, Part, Script
from invites import absence, outbox
from invites.absence import Absences
from invites.channels.channel import Accepted, NotSent, Outcome, Provider, Settlement, Unknown
from invites.finish import Answer, NotBegun
from invites.tables import outbox as table
from tests.support.fake_street import FakeStreet
from tests.support.outbox_rows import entry, queued
from tests.support.people import House, ScriptedProvider

MINUTE = timedelta(minutes=1)
LATE = Script(
    notify=Part(steps=[Act("drop", record=True, visible_after=3600.0)]),
    gateway=Part(steps=[Act("drop", record=True, visible_after=3600.0)]),
)
"""The first message is taken, its answer is lost, and a search does not find it for as long as a test lasts."""
NEVER = Script(notify=Part(steps=[Act("drop")]), gateway=Part(steps=[Act("drop")]))


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def notify(street: FakeStreet) -> Provider:
    return street.notify(settle_after=MINUTE)


def gateway(street: FakeStreet) -> Provider:
    return street.gateway(searchable=True, settle_after=MINUTE)


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


@pytest.mark.parametrize("provider", [notify, gateway])
def test_a_message_that_is_not_found_yet_is_not_sent_again(
    house: House, provider: Callable[[FakeStreet], Provider]
) -> None:
    queued(house)
    clock = Clock(house)
    with FakeStreet(LATE) as street:
        lane = house.lane(provider(street), elapsed=clock)
        lane.run()
        clock.later(timedelta(seconds=45))
        assert lane.run().settled == 1
        assert (entry(house)["state"], len(street.references)) == ("unknown", 1)


@pytest.mark.parametrize("provider", [notify, gateway])
def test_a_message_that_is_not_found_twice_is_sent_again(
    house: House, provider: Callable[[FakeStreet], Provider]
) -> None:
    queued(house)
    clock = Clock(house)
    with FakeStreet(NEVER) as street:
        lane = house.lane(provider(street), elapsed=clock)
        lane.run()
        for _ in range(4):
            clock.later(timedelta(seconds=45))
            lane.run()
        assert (entry(house)["state"], len(street.references)) == ("accepted", 1)


def test_what_went_out_since_is_asked_for_twice_again(house: House) -> None:
    """One daemon saw it absent once; another saw it twice and sent it again, and that message is as young."""
    queued(house)
    clock = Clock(house)
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    provider.settle_after = MINUTE
    provider.outcome, provider.found = Unknown("timeout"), NotSent("not_found")
    one, other = house.lane(provider, elapsed=clock), house.lane(provider, elapsed=clock)
    one.run()
    for lane in (one, other, other, other, other):
        clock.later(timedelta(seconds=45))
        lane.run()
    assert (entry(house)["state"], len(provider.sent)) == ("unknown", 2)
    clock.later(timedelta(minutes=3))
    assert one.run().settled == 1
    assert entry(house)["state"] == "unknown"


def judged(absences: Absences, house: House, outcome: Outcome | NotBegun) -> object:
    with house.database.read() as connection:
        [waiting] = outbox.entries_with(connection, table.c.id, [entry(house)["id"]])
    return absences.judged(Answer(waiting, waiting.attempt, outcome)).outcome


def test_only_an_absence_is_doubted_and_what_was_found_is_forgotten(house: House) -> None:
    queued(house)
    clock = Clock(house)
    absences = Absences(MINUTE, clock)
    assert judged(absences, house, NotSent("not_found")) == Unknown("not_found_yet")
    clock.later(MINUTE / 2)
    assert judged(absences, house, Unknown("no_answer")) == Unknown("no_answer")
    assert judged(absences, house, NotSent("not_found")) == Unknown("not_found_yet")
    assert judged(absences, house, NotBegun()) == NotBegun()  # the question was not put: it has no answer
    clock.later(MINUTE / 2)
    assert judged(absences, house, NotSent("not_found")) == NotSent("not_found")
    assert judged(absences, house, NotSent("not_found")) == Unknown("not_found_yet")
    assert judged(absences, house, Accepted("theirs")) == Accepted("theirs")
    clock.later(MINUTE)
    assert judged(absences, house, NotSent("not_found")) == Unknown("not_found_yet")


def not_found(absences: Absences, house: House, number: int) -> object:
    with house.database.read() as connection:
        [waiting] = outbox.entries_with(connection, table.c.id, [entry(house, number)["id"]])
    return absences.judged(Answer(waiting, waiting.attempt, NotSent("not_found"))).outcome


def test_more_absences_than_are_remembered_are_all_believed_in_the_end(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever forgot the oldest for each new one would believe none: all are asked about in turns."""
    monkeypatch.setattr(absence, "MOST_REMEMBERED", 2)
    queued(house, 5)
    clock, waiting = Clock(house), [0, 1, 2, 3, 4]
    absences = Absences(MINUTE, clock)
    for _ in range(6):
        waiting = [number for number in waiting if not_found(absences, house, number) != NotSent("not_found")]
        clock.later(MINUTE)
    assert waiting == []


def test_those_that_are_asked_about_no_more_make_room(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(absence, "MOST_REMEMBERED", 1)
    queued(house, 2)
    clock = Clock(house)
    absences = Absences(MINUTE, clock)
    assert not_found(absences, house, 0) == not_found(absences, house, 1) == Unknown("not_found_yet")
    clock.later(MINUTE)
    assert not_found(absences, house, 1) == Unknown("not_found_yet")  # it was not remembered
    clock.later(timedelta(hours=5))
    assert not_found(absences, house, 1) == Unknown("not_found_yet")
    clock.later(MINUTE)
    assert not_found(absences, house, 1) == NotSent("not_found")

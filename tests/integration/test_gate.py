"""When messages go out and how many: hours, caps, pauses, the brake and the canary, also with two daemons at once."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec
import pytest

from invites import canary, gate, pauses
from invites.channels.channel import SMS, Accepted, NotSent, Refused, Settlement, Unknown
from invites.dispatch import Dispatch
from invites.options import InviteOptions
from invites.pauses import OPERATOR, THRESHOLD, Pause
from invites.receipt import Receipt, ReceiptState
from invites.rhythm import AutomaticPause, CallingHours, Rhythm
from tests.support.accounts import BORN, Registry
from tests.support.outbox_rows import entry, queued
from tests.support.people import HOSPITAL, ORGANISATION, House, PlainChannel, ScriptedProvider, person
from tests.support.query_plans import plans_of, walks_of_whole_tables

LONDON = ZoneInfo("Europe/London")
WEDNESDAY = datetime(2027, 3, 3, 12, tzinfo=LONDON)
Make = Callable[[Rhythm], House]


@pytest.fixture
def make(database_url: str) -> Iterator[Make]:
    """Daemons on one database, each with a rhythm of its own, at noon of a Wednesday."""
    made: list[House] = []

    def start(rhythm: Rhythm) -> House:
        options = InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", zone=LONDON, rhythm=rhythm)
        house = House(database_url, options, made[0].ring if made else None)
        made.append(house)
        house.set_clock(WEDNESDAY)
        return house

    yield start
    for house in made:
        house.close()


def at(house: House, text: str) -> None:
    house.set_clock(datetime.fromisoformat(text).replace(tzinfo=LONDON))


def pause(house: House, channel: str = "", *, everything: bool = False, organisation: str = ORGANISATION) -> None:
    with house.database.begin() as connection:
        now = house.database.now(connection)
        pauses.put(connection, Pause(organisation, channel, everything, OPERATOR, "for a test", now))


def resume(house: House, channel: str = "") -> bool:
    with house.database.begin() as connection:
        return gate.lift(connection, ORGANISATION, channel, house.options.today(house.database.now(connection)))


def every_look_counts() -> Callable[[], float]:
    """A clock on which so much time passes between two looks that the brake reads anew at each."""
    ticks = itertools.count()
    return lambda: float(next(ticks))


WORKDAYS = Rhythm(CallingHours(time(20), time(8), frozenset(range(5)), frozenset({date(2027, 3, 4)})))


@pytest.mark.parametrize("closed", ["2027-03-03T20:00", "2027-03-03T07:00", "2027-03-06T12:00", "2027-03-04T12:00"])
def test_nothing_is_issued_or_sent_outside_the_hours(make: Make, closed: str) -> None:
    house = make(WORKDAYS)
    house.arrive([person()])
    at(house, closed)
    assert house.issue.run().total == 0
    assert house.issue.run(heed_hours=False).total == 1
    provider = ScriptedProvider()
    lane = house.lane(provider)
    lane.run()
    assert provider.sent == []
    assert entry(house)["state"] == "queued"
    at(house, "2027-03-08T08:00")
    lane.run()
    assert len(provider.sent) == 1


def test_a_letter_keeps_no_quiet_hours(make: Make) -> None:
    house = make(WORKDAYS)
    house.arrive([person(home=())])
    at(house, "2027-03-03T23:00")
    assert house.issue.run().issued == Counter(letter=1)


def test_an_organisations_hours_are_those_of_its_own_zone(make: Make) -> None:
    first = make(WORKDAYS)
    zones = {ORGANISATION: ZoneInfo("Australia/Perth")}
    options = msgspec.structs.replace(first.options, zones=zones)
    with first.database.read() as connection:
        noon = WEDNESDAY.astimezone(UTC)
        assert gate.Gate(first.options).barred(connection, SMS, noon).invitations == {}
        assert gate.Gate(options).barred(connection, SMS, noon).invitations == {ORGANISATION: "quiet_hours"}


def _all_at_once(*work: Callable[[], object]) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("rhythm", [Rhythm(daily_cap=30), Rhythm(channel_caps={SMS: 30})])
def test_two_daemons_begin_no_more_than_the_daily_cap(make: Make, rhythm: Rhythm) -> None:
    one, other = make(rhythm), make(rhythm)
    one.arrive([person(number) for number in range(100)])
    unheeding = _unheeding(one)
    unheeding.issue.run()
    unheeding.close()
    provider = ScriptedProvider()
    lanes: list[Dispatch] = [one.lane(provider), other.lane(provider)]
    _all_at_once(*[lane.run for lane in lanes])
    assert len(provider.sent) == 30
    assert Counter(row["state"] for row in one.rows("outbox")) == Counter(accepted=30, queued=70)
    _all_at_once(*[lane.run for lane in lanes])
    assert len(provider.sent) == 30
    for house in (one, other):
        house.later(timedelta(days=1))
    _all_at_once(*[lane.run for lane in lanes])
    assert len(provider.sent) == 60


def _unheeding(house: House) -> House:
    """The same database, seen by a daemon without a rhythm, which issues what it likes."""
    free = msgspec.structs.replace(house.options, rhythm=Rhythm())
    other = House(str(house.database.engine.url.render_as_string(hide_password=False)), free, house.ring)
    other.database.shift = house.database.shift
    return other


def test_no_more_is_issued_than_the_day_can_send(make: Make) -> None:
    house = make(Rhythm(channel_caps={SMS: 5}))
    house.arrive([person(number) for number in range(12)])
    found = [house.issue.run() for _ in range(2)]
    assert [report.total for report in found] == [5, 0]
    assert found[0].waiting == 7
    house.lane(ScriptedProvider()).run()
    assert house.issue.run().total == 0
    house.later(timedelta(days=1))
    assert house.issue.run().total == 5


def test_what_was_certainly_not_sent_gives_its_place_back(make: Make) -> None:
    house = make(Rhythm(daily_cap=2))
    queued(house, 2)
    provider = ScriptedProvider()
    provider.script = [NotSent("busy"), NotSent("busy")]
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(minutes=2))
    lane.run()
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(accepted=2)
    assert {row["channel"]: row["started"] for row in house.rows("tallies")} == {"": 2, SMS: 2}


def test_a_pause_stops_issuing_and_sending_until_it_is_lifted(make: Make) -> None:
    house = make(Rhythm())
    queued(house, 3)
    house.arrive([person(9)])
    pause(house)
    provider = ScriptedProvider()
    lane = house.lane(provider)
    lane.run()
    assert (provider.sent, house.issue.run().total) == ([], 0)
    assert resume(house)
    assert not resume(house)
    lane.run()
    assert (len(provider.sent), house.issue.run().total) == (3, 1)


@pytest.mark.parametrize(("organisation", "channel"), [("", ""), (ORGANISATION, SMS), ("", SMS)])
def test_a_pause_of_all_or_of_one_channel_stops_it(make: Make, organisation: str, channel: str) -> None:
    house = make(Rhythm())
    queued(house)
    pause(house, channel, organisation=organisation)
    provider = ScriptedProvider()
    house.lane(provider).run()
    assert provider.sent == []


@pytest.mark.parametrize(("organisation", "channel"), [("RX2", ""), (ORGANISATION, "email")])
def test_a_pause_of_others_stops_nobody_else(make: Make, organisation: str, channel: str) -> None:
    house = make(Rhythm())
    queued(house)
    pause(house, channel, organisation=organisation)
    assert house.lane(ScriptedProvider()).run().outcomes == Counter(accepted=1)


def test_the_brake_takes_hold_between_the_claim_and_the_call(make: Make) -> None:
    house, other = make(Rhythm()), make(Rhythm())
    queued(house, 40)
    provider = ScriptedProvider()
    first, paused = threading.Lock(), threading.Event()

    def pause_at_the_first_call() -> None:
        if first.acquire(blocking=False):
            pause(other, everything=True)
            paused.set()
        assert paused.wait(60)

    provider.before_answering = pause_at_the_first_call
    lane = house.lane(provider, PlainChannel(SMS), every_look_counts())
    lane.run()
    called = len(provider.sent)
    assert called <= house.options.senders
    states = Counter(row["state"] for row in house.rows("outbox"))
    assert states == Counter(accepted=called, queued=40 - called)
    lane.run()
    assert len(provider.sent) == called
    resume(other)
    lane.run()
    assert len(provider.sent) == 40


def test_what_is_unknown_is_not_sent_again_during_a_pause(make: Make) -> None:
    house = make(Rhythm())
    queued(house)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(hours=1))
    pause(house)
    lane.run()
    assert len(provider.sent) == 1
    resume(house)
    assert lane.run().settled == 1
    assert len(provider.sent) == 2


CAREFUL = Rhythm(pause=AutomaticPause(percent=20, at_least=20, challenges=50))


def test_too_many_refusals_pause_the_channel_by_themselves(make: Make) -> None:
    house = make(CAREFUL)
    queued(house, 200)
    provider = ScriptedProvider()
    provider.outcome = Refused("no")
    house.lane(provider).run()
    assert len(provider.sent) <= house.options.claim_batch
    with house.database.read() as connection:
        [found] = pauses.in_force(connection)
    assert (found.organisation, found.channel, found.origin) == (ORGANISATION, SMS, THRESHOLD)
    assert "refused or failed today, more than 20 %" in found.reason
    provider.outcome = ScriptedProvider().outcome
    resume(house, SMS)
    house.lane(provider).run()
    with house.database.read() as connection:
        assert pauses.in_force(connection) == [], "what was judged once is not judged again after a resume"


def test_a_few_refusals_pause_nothing(make: Make) -> None:
    house = make(CAREFUL)
    queued(house, 100)
    provider = ScriptedProvider()
    provider.script = [Refused("no")] * 8
    house.lane(provider).run()
    with house.database.read() as connection:
        assert pauses.in_force(connection) == []


def test_receipts_of_failure_count(make: Make) -> None:
    house = make(CAREFUL)
    queued(house, 20)
    house.lane(ScriptedProvider()).run()
    failed = [
        Receipt("scripted", ReceiptState.FAILED, WEDNESDAY, reference=str(row["reference"]))
        for row in house.rows("outbox")
    ]
    house.receipts.take(failed[:4])
    with house.database.read() as connection:
        assert pauses.in_force(connection) == []
    house.receipts.take(failed[4:])
    with house.database.read() as connection:
        assert [p.channel for p in pauses.in_force(connection)] == [SMS]


def test_wrong_dates_of_birth_pause_the_organisation(make: Make) -> None:
    registry = Registry(make(CAREFUL))
    for number in range(30):
        pair = registry.pair(registry.somebody(number))
        registry.prove(pair, BORN if number % 3 == 0 else date(1990, 1, 1), f"192.0.2.{number}")
    assert registry.accounts.noted.run() == 30
    with registry.house.database.read() as connection:
        [found] = pauses.in_force(connection)
    assert (found.organisation, found.channel) == (ORGANISATION, "")
    assert found.reason == "20 of 30 wrong dates of birth today, more than 50 %"


def test_a_search_waits_for_no_hours_and_no_pause(make: Make) -> None:
    house = make(WORKDAYS)
    queued(house)
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    provider.script, provider.found = [TimeoutError("lost")], Accepted("theirs")
    lane = house.lane(provider)
    lane.run()
    at(house, "2027-03-03T21:00")
    lane.run()
    assert entry(house)["state"] == "accepted"


def test_a_kill_switch_is_weakened_by_no_other_pause(make: Make) -> None:
    house = make(CAREFUL)
    by_hand = pauses.Pause(ORGANISATION, "", everything=True, origin=pauses.OPERATOR, reason="stop", since=WEDNESDAY)
    by_itself = pauses.Pause(ORGANISATION, "", everything=False, origin=pauses.THRESHOLD, reason="bad", since=WEDNESDAY)
    with house.database.begin() as connection:
        pauses.put(connection, by_hand)
        assert pauses.put_if_none(connection, by_itself) is False  # it may have looked before the other was there
        assert pauses.in_force(connection) == [by_hand]
        pauses.put(connection, msgspec.structs.replace(by_hand, everything=False, reason="a colleague's"))
        [found] = pauses.in_force(connection)
        assert (found.everything, found.reason) == (True, "a colleague's")
        assert pauses.lift(connection, ORGANISATION, "")
        assert pauses.put_if_none(connection, by_itself) is True
        pauses.put(connection, by_hand)
        assert pauses.in_force(connection) == [by_hand]


def test_two_daemons_let_no_more_go_than_one_canary(make: Make) -> None:
    rhythm = Rhythm(canary=10)
    one, other = make(rhythm), make(rhythm)
    one.arrive([person(number) for number in range(300)])
    _all_at_once(one.issue.run, other.issue.run)
    assert len(one.rows("invitations")) == 10
    assert one.issue.run().total + other.issue.run().total == 0
    with one.database.begin() as connection:
        assert canary.let_go(connection, ORGANISATION, canary.BY_COMMAND, one.database.now(connection))
    _all_at_once(one.issue.run, other.issue.run)
    assert len(one.rows("invitations")) == 300


@pytest.mark.parametrize("refused", [0, 3])
def test_a_canary_that_ends_well_lets_the_others_go_in_time(make: Make, refused: int) -> None:
    house = make(Rhythm(canary=10, canary_wait=timedelta(hours=24)))
    house.arrive([person(number, addresses=()) for number in range(20)])
    house.issue.run()
    provider = ScriptedProvider()
    provider.script = [Refused("no")] * refused
    house.lane(provider).run()
    house.later(timedelta(hours=23))
    assert house.issue.run().total == 0
    house.later(timedelta(hours=2))
    assert house.issue.run().total == (0 if refused else 10)
    if not refused:
        assert house.rows("canaries")[0]["passed_by"] == canary.BY_RESULT


def test_a_canary_that_is_paused_waits(make: Make) -> None:
    house = make(Rhythm(canary=1, canary_wait=timedelta(hours=1)))
    house.arrive([person(number) for number in range(2)])
    house.issue.run()
    house.lane(ScriptedProvider()).run()
    house.later(timedelta(hours=2))
    pause(house, "letter")
    assert house.issue.run().total == 0
    resume(house, "letter")
    assert house.issue.run().total == 1


def test_a_lane_under_a_rhythm_reads_no_table_from_end_to_end(sqlite_url: str) -> None:
    rhythm = Rhythm(WORKDAYS.hours, daily_cap=5, channel_caps={SMS: 4}, canary=3, pause=CAREFUL.pause)
    options = InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", zone=LONDON, rhythm=rhythm)
    house = House(sqlite_url, options)
    house.set_clock(WEDNESDAY)
    house.arrive([person(number) for number in range(8)])
    with plans_of(house.database) as steps:
        assert house.issue.run().total == 3
        house.lane(ScriptedProvider()).run()
    house.close()
    assert walks_of_whole_tables(steps) == []

"""Providers' limits: token buckets in the database, shared by all daemons."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.channels.channel import SMS, Accepted, NotSent, Settlement, Unknown
from invites.dispatch import Dispatch
from invites.options import Lane
from invites.throttle import RateLimit, Throttle
from patient_records.instants import to_micros
from tests.support.outbox_rows import queued
from tests.support.people import House, PlainChannel, ScriptedProvider

MINUTE = timedelta(minutes=1)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def lane(house: House, provider: ScriptedProvider, *limits: RateLimit) -> Dispatch:
    """A lane with limits, which never waits by itself."""
    made = Dispatch(
        house.database,
        house.records,
        Lane(PlainChannel(SMS), provider, limits=limits),
        house.options,
        onward=house.onward,
        finish=house.finish,
        ids=house.ids,
    )
    house.lanes.append(made)
    return made


@given(
    most=st.integers(1, 400), seconds=st.sampled_from([1, 60, 86400]), waits=st.lists(st.integers(0, 90), max_size=60)
)
def test_no_period_ever_sees_more_than_the_limit(most: int, seconds: int, waits: list[int]) -> None:
    limit = RateLimit(most, timedelta(seconds=seconds))
    now = full_at = 0
    sent: list[int] = []
    for wait in [0, *waits]:
        now += wait * seconds * 1_000_000 // 100
        count = max(0, limit.left(full_at, now))
        sent += [now] * count
        full_at = max(full_at, now) + count * limit.interval
        if count == 0 and limit.left(full_at, now) == 0:
            later = now + limit.wait(full_at, now) // timedelta(microseconds=1)
            assert limit.left(full_at, later) >= 1
    assert sent
    for start in sent:
        assert sum(start <= at < start + seconds * 1_000_000 for at in sent) <= most


def test_a_lane_sends_what_its_bucket_holds_and_the_rest_as_it_fills(house: House) -> None:
    queued(house, 30)
    provider = ScriptedProvider()
    limited = lane(house, provider, RateLimit(100, timedelta(hours=1)))
    assert limited.run().outcomes == Counter(accepted=10)
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(accepted=10, queued=20)
    house.later(timedelta(minutes=4))
    limited.run()
    assert 15 <= len(provider.sent) <= 17  # one every 40 seconds, and some for what the test itself takes
    house.later(timedelta(hours=1))
    limited.run()
    house.later(timedelta(hours=1))
    limited.run()
    assert len(provider.sent) == 30


def test_the_tightest_of_several_limits_counts(house: House) -> None:
    queued(house, 10)
    limited = lane(house, ScriptedProvider(), RateLimit(1000, MINUTE), RateLimit(20, timedelta(days=1)))
    assert limited.run().outcomes == Counter(accepted=2)


def test_a_short_wait_is_the_lanes_own_and_takes_no_transaction(house: House) -> None:
    queued(house, 4)
    provider = ScriptedProvider()
    limited = lane(house, provider, RateLimit(20, timedelta(seconds=18)))  # one a second: a slow machine is no wait
    waited: list[float] = []

    def pause(seconds: float) -> None:
        waited.append(seconds)
        house.arrive([])  # on SQLite this would hang if the lane held its transaction
        house.later(timedelta(seconds=seconds))

    limited._pause = pause
    assert limited.run().outcomes == Counter(accepted=4)
    assert waited


def test_a_lane_that_waits_for_its_limit_stops_when_told(house: House) -> None:
    queued(house, 4)
    stop = threading.Event()
    limited = lane(house, ScriptedProvider(), RateLimit(10, timedelta(seconds=10)))
    limited._pause = lambda _: stop.set()
    assert limited.run(stop.is_set).outcomes == Counter(accepted=1)


def test_a_clock_that_jumped_forward_and_back_silences_a_provider_for_no_longer_than_its_bucket_fills(
    house: House,
) -> None:
    limit = RateLimit(100, timedelta(hours=1))
    queued(house, 30)
    provider = ScriptedProvider()
    limited = lane(house, provider, limit)
    house.later(timedelta(days=9))
    assert limited.run().outcomes == Counter(accepted=10)
    house.later(timedelta(days=-9))
    assert limited.run().outcomes == Counter()
    house.later(limit.burst * limit.interval * timedelta(microseconds=1))
    assert limited.run().outcomes == Counter(accepted=10)


@given(full_at=st.integers(0, 10**16), now=st.integers(0, 10**16), most=st.integers(1, 400))
def test_no_bucket_is_emptier_than_empty(full_at: int, now: int, most: int) -> None:
    limit = RateLimit(most, MINUTE)
    believed = limit.believed(full_at, now)
    assert 0 <= limit.left(believed, now) <= limit.burst
    assert limit.left(full_at, now) < 0 or believed == full_at
    assert limit.wait(believed, now) <= limit.interval * timedelta(microseconds=1)


def test_two_daemons_share_one_bucket(database_url: str) -> None:
    one = House(database_url)
    other = House(database_url, ring=one.ring)
    queued(one, 60)
    provider = ScriptedProvider()
    lanes = [lane(each, provider, RateLimit(200, timedelta(days=1))) for each in (one, other)]
    threads = [threading.Thread(target=each.run) for each in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(provider.sent) == 20
    assert Counter(row["state"] for row in one.rows("outbox")) == Counter(accepted=20, queued=40)
    one.close()
    other.close()


def test_repeats_and_searches_are_calls_too(house: House) -> None:
    queued(house, 3)
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    provider.outcome = Unknown("lost")
    lane(house, provider).run()
    house.later(timedelta(minutes=2))
    provider.found = Accepted("theirs")
    lane(house, provider, RateLimit(10, timedelta(days=1))).run()
    assert len(provider.searched) == 1


def test_what_was_not_sent_spent_its_token_all_the_same(house: House) -> None:
    queued(house, 1)
    provider = ScriptedProvider()
    provider.script = [NotSent("busy")]
    limited = lane(house, provider, RateLimit(1, timedelta(hours=1)))
    limited.run()
    house.later(timedelta(minutes=2))
    assert limited.run().outcomes == Counter()
    house.later(timedelta(hours=1))
    assert limited.run().outcomes == Counter(accepted=1)


def test_a_lane_without_limits_writes_no_bucket(house: House) -> None:
    queued(house, 1)
    lane(house, ScriptedProvider()).run()
    assert house.rows("provider_buckets") == []
    with house.database.begin() as connection:
        throttle, now = Throttle(SMS, [RateLimit(50, MINUTE)]), datetime.now(UTC)
        assert throttle.allowance(connection, 3, now) == 3
        throttle.take(connection, 3, now)
    [row] = house.rows("provider_buckets")
    assert (row["lane"], row["period"]) == (SMS, 60_000_000)
    assert int(str(row["full_at"])) > to_micros(now)

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from daemon.gauges import EVERY, Gauges
from daemon.metrics import Metrics
from tests.support.people import House, ScriptedProvider, person
from tests.support.query_plans import plans_of, walks_of_whole_tables


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


class Watch:
    """A clock that a test reads and sets."""

    at = 100.0

    def __call__(self) -> float:
        return self.at


def entries(metrics: Metrics) -> dict[str, float]:
    samples = next(iter(metrics.outbox_entries.collect())).samples
    return {sample.labels["state"]: sample.value for sample in samples}


def test_gauges_say_how_many_entries_are_in_each_state_and_how_old_the_oldest_is(house: House) -> None:
    house.arrive([person(number) for number in range(3)])
    house.issue.run()
    metrics, watch = Metrics(), Watch()
    gauges = Gauges(house.database, metrics, watch)
    house.later(timedelta(minutes=5))
    gauges.refresh()
    assert {state: count for state, count in entries(metrics).items() if count} == {"queued": 3}
    assert metrics.registry.get_sample_value("doorstep_outbox_oldest_seconds") == pytest.approx(300, abs=60)
    house.lane(ScriptedProvider()).run()
    watch.at += EVERY.total_seconds()
    gauges.refresh()
    assert {state: count for state, count in entries(metrics).items() if count} == {"accepted": 3}
    assert entries(metrics)["queued"] == 0
    assert metrics.registry.get_sample_value("doorstep_outbox_oldest_seconds") == 0


def test_gauges_are_read_no_more_often_than_every_thirty_seconds(house: House) -> None:
    metrics, watch = Metrics(), Watch()
    gauges = Gauges(house.database, metrics, watch)
    gauges.refresh()
    house.arrive([person()])
    house.issue.run()
    watch.at += EVERY.total_seconds() - 1
    with plans_of(house.database) as steps:
        gauges.refresh()
    assert steps == []
    assert entries(metrics)["queued"] == 0
    watch.at += 1
    gauges.refresh()
    assert entries(metrics)["queued"] == 1


def test_gauges_walk_an_index_and_not_the_outbox(sqlite_url: str) -> None:
    house = House(sqlite_url)
    with plans_of(house.database) as steps:
        Gauges(house.database, Metrics()).refresh()
    assert "SCAN outbox USING COVERING INDEX outbox_state" in steps
    assert walks_of_whole_tables(steps) == []
    house.close()

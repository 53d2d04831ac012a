"""A lane ends in time, whatever its provider does, and a suspended machine's leases are over when it wakes."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from invites.dispatch import DispatchReport
from tests.support.outbox_rows import entry, queued
from tests.support.people import House, ScriptedProvider

SAFETY = 60


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def test_a_provider_that_hangs_keeps_neither_the_lane_nor_its_run(house: House) -> None:
    queued(house, 9)
    hanging, released = threading.Semaphore(0), threading.Event()
    provider = ScriptedProvider()

    def hang() -> None:
        hanging.release()
        assert released.wait(SAFETY)

    provider.before_answering = hang
    lane = house.lane(provider)
    reports: list[DispatchReport] = []
    stop = threading.Event()
    run = threading.Thread(target=lambda: reports.append(lane.run(stop.is_set)), daemon=True)
    run.start()
    for _ in range(house.options.senders):
        assert hanging.acquire(timeout=SAFETY)
    stop.set()
    assert lane.close(0.01) is False
    run.join(SAFETY / 2)
    assert not run.is_alive()
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("send-"))
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(sending=4, queued=5)
    released.set()
    assert lane.close(SAFETY) is True
    assert len(provider.sent) == house.options.senders


def test_a_lane_at_rest_closes_at_once(house: House) -> None:
    assert house.lane(ScriptedProvider()).close(0) is True


def test_no_call_begins_after_the_machine_slept_through_the_lease(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(house)
    provider = ScriptedProvider()
    lane = house.lane(provider)
    mark, ticks, slept = lane._mark, time.clock_gettime, [0.0]

    def clock(which: int) -> float:
        """Only this clock counts the sleep, as on Linux."""
        return ticks(which) + (slept[0] if which == time.CLOCK_BOOTTIME else 0)

    def then_sleep(*given: object) -> object:
        slept[0] += house.options.lease.total_seconds() if not slept[0] else 0
        return mark(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(time, "clock_gettime", clock)
    monkeypatch.setattr(lane, "_mark", then_sleep)
    assert lane.run().dropped == Counter(not_begun=1)
    assert len(provider.sent) == 1
    assert entry(house)["attempt"] == 2

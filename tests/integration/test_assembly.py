from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest

from invites.assembly import assemble
from invites.channels.channel import EMAIL, LETTER, SMS
from invites.options import Lane
from invites.schedule import Schedule
from tests.support.people import EMAIL_ONLY, House, PlainChannel, ScriptedProvider, person


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def test_the_clock_takes_people_from_eligible_to_sent(house: House) -> None:
    providers = {kind: ScriptedProvider() for kind in (SMS, EMAIL, LETTER)}
    sent = threading.Semaphore(0)
    for provider in providers.values():
        provider.before_answering = sent.release
    invites = assemble(
        house.database,
        house.records,
        house.ring,
        house.ids,
        options=house.options,
        lanes=[Lane(PlainChannel(kind), provider) for kind, provider in providers.items()],
        random_bytes=os.urandom,
        chance=random.Random(2).random,
    )
    errors: list[tuple[str, Exception]] = []
    schedule = Schedule(
        invites.jobs(timedelta(milliseconds=50)), on_error=lambda name, error: errors.append((name, error))
    )
    schedule.start()
    house.arrive([person(1), person(2, home=EMAIL_ONLY), person(3, home=())])
    for _ in range(3):
        assert sent.acquire(timeout=60)
    assert schedule.stop(60)
    invites.close()
    assert errors == []
    assert {kind: len(provider.sent) for kind, provider in providers.items()} == {SMS: 1, EMAIL: 1, LETTER: 1}
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(accepted=3)

from __future__ import annotations

import os
from datetime import timedelta

from daemon.tidying import Tidying
from patient_records.limits import Limit, Limits
from tests.support.people import House
from web.access import bearers
from web.access.clients import Clients, Scope


def test_what_is_over_goes_and_the_rest_stays(database_url: str) -> None:
    house = House(database_url)
    limits, limit = Limits(house.records.blind_index), Limit("tries", 5, timedelta(seconds=100))
    with house.database.begin() as connection:
        now = house.database.now(connection)
        made = Clients(house.ids, os.urandom).add(connection, "A", "RX1", Scope.SYSTEM, now)
        bearers.issue(connection, made.client, os.urandom, now)
        limits.take(connection, limit, "a", now)
    tidy = Tidying(house.database)
    assert tidy() == 0
    house.later(timedelta(seconds=100))
    assert tidy(lambda: True) == 0
    assert tidy() == 1
    house.later(timedelta(seconds=500))
    assert tidy() == 1
    house.close()

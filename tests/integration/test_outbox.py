from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import Connection, event, update

from invites import outbox, tables
from invites.outbox import OutboxEntry
from tests.support.people import DEAD, House, PlainChannel, ScriptedProvider, person

LEASE = timedelta(minutes=5)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def on_postgresql(postgres_url: str) -> Iterator[House]:
    built = House(postgres_url)

    @event.listens_for(built.database.engine, "begin")
    def fail_rather_than_hang(connection: Connection) -> None:
        connection.exec_driver_sql("SET LOCAL lock_timeout = '20s'")

    yield built
    built.close()


def queued(house: House, count: int) -> list[int]:
    ids = house.arrive([person(number) for number in range(count)])
    house.issue.run()
    return ids


def claim(house: House, owner: str, limit: int) -> list[OutboxEntry]:
    with house.database.begin() as connection:
        now = house.database.now(connection)
        return outbox.claim(connection, "sms", owner, lease=LEASE, limit=limit, now=now)


def test_a_claim_never_waits_for_another_that_is_not_committed_yet(on_postgresql: House) -> None:
    house = on_postgresql
    queued(house, 5)
    with house.database.begin() as connection:
        now = house.database.now(connection)
        first = outbox.claim(connection, "sms", "one", lease=LEASE, limit=3, now=now)
        second = claim(house, "other", 5)
    assert len(first) == 3
    assert len(second) == 2
    assert not {entry.id for entry in first} & {entry.id for entry in second}


def test_issuing_passes_over_a_record_that_an_ingest_holds_and_comes_back_for_it(on_postgresql: House) -> None:
    house = on_postgresql
    held, free = house.arrive([person(1), person(2)])
    with house.database.begin() as connection:
        house.records.load(connection, [held], lock=True)
        assert house.issue.run().total == 1
    assert house.state(free) == "invited"
    assert house.state(held) == "eligible"
    assert house.issue.run().total == 1


def test_claims_at_once_from_several_threads_share_nothing(house: House) -> None:
    queued(house, 60)
    taken: list[OutboxEntry] = []
    threads = [threading.Thread(target=lambda n=n: taken.extend(claim(house, f"daemon {n}", 20))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken += claim(house, "last", 60)
    assert Counter(Counter(entry.id for entry in taken).values()) == {1: 60}


def test_a_claimed_entry_that_is_cancelled_is_not_its_holders_any_more(house: House) -> None:
    [record_id] = queued(house, 1)
    [entry] = claim(house, "me", 1)
    house.change(record_id, death=DEAD)
    with house.database.begin() as connection:
        assert outbox.still_claimed(connection, "me", [entry.id]) == set()
    assert house.rows("outbox")[0]["state"] == "cancelled"


def test_a_lease_that_lapsed_and_was_taken_by_another_is_not_marked_by_the_first(house: House) -> None:
    queued(house, 1)
    channel, provider, other = PlainChannel("sms"), ScriptedProvider(), ScriptedProvider()

    def too_slow() -> None:
        if not other.sent:
            house.later(timedelta(minutes=6))
            house.sweep.run()
            house.lane(other).run()

    channel.before_rendering = too_slow
    house.lane(provider, channel).run()
    assert len(other.sent) == 1
    assert provider.sent == []
    assert house.rows("outbox")[0]["state"] == "accepted"


def test_the_longest_due_goes_first(house: House) -> None:
    first = queued(house, 2)
    house.later(timedelta(seconds=1))
    second = house.arrive([person(7)])
    house.issue.run()
    assert [entry.record_id for entry in claim(house, "me", 2)] != second
    assert {entry.record_id for entry in claim(house, "me", 9)} <= {*first, *second}


def test_sealed_values_are_bound_to_their_entry(house: House) -> None:
    one, other = queued(house, 2)
    rows = {row["record_id"]: row for row in house.rows("outbox")}
    with house.database.begin() as connection:
        swap = [(rows[one]["id"], rows[other]["sealed_payload"]), (rows[other]["id"], rows[one]["sealed_payload"])]
        for entry_id, payload in swap:
            statement = update(tables.outbox).where(tables.outbox.c.id == entry_id)
            connection.execute(statement.values(sealed_payload=payload))
    provider = ScriptedProvider()
    assert house.lane(provider).run().dropped == Counter(rendering_SealBroken=2)
    assert provider.sent == []

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from patient_records.blind_index import BlindIndex
from patient_records.limits import Exceeded, Limit, Limits, any_over, sweep
from patient_records.tables import rate_windows
from patient_records.unit_of_work import SQLITE, Database
from tests.contract.conftest import NOW, Stores

THREE = Limit("tries", 3, timedelta(minutes=1))
SECOND = timedelta(seconds=1)


def limits(stores: Stores) -> Limits:
    return Limits(stores.ring.blind_index)


def take(
    stores: Stores, limit: Limit = THREE, subject: str = "a", later: timedelta = 0 * SECOND, count: int = 1
) -> object:
    with stores.database.begin() as connection:
        return limits(stores).take(connection, limit, subject, NOW + later, count)


def test_a_window_holds_so_many_and_says_when_it_ends(stores: Stores) -> None:
    assert [take(stores, later=at * SECOND) for at in range(3)] == [None] * 3
    assert take(stores, later=10 * SECOND) == Exceeded(50 * SECOND)


def test_what_was_refused_does_not_put_the_end_off(stores: Stores) -> None:
    for _ in range(9):
        take(stores)
    assert take(stores, later=60 * SECOND) is None


def test_the_next_window_begins_with_the_first_thing_after_it(stores: Stores) -> None:
    take(stores)
    assert [take(stores, later=90 * SECOND) for _ in range(3)] == [None] * 3
    assert take(stores, later=100 * SECOND) == Exceeded(50 * SECOND)


def test_subjects_and_limits_do_not_share_a_count(stores: Stores) -> None:
    for _ in range(3):
        take(stores)
    assert take(stores, subject="b") is None
    assert take(stores, Limit("others", 3, THREE.window)) is None
    assert take(stores) is not None


def test_many_at_once_count_all_or_not_at_all(stores: Stores) -> None:
    assert take(stores, count=2) is None
    assert take(stores, count=2) == Exceeded(60 * SECOND)
    assert take(stores, count=1) is None
    assert take(stores, subject="b", count=4) == Exceeded(60 * SECOND)


def test_looking_counts_nothing(stores: Stores) -> None:
    for _ in range(3):
        with stores.database.read() as connection:
            assert limits(stores).exceeded(connection, THREE, "a", NOW) is None
        take(stores)
    with stores.database.read() as connection:
        assert limits(stores).exceeded(connection, THREE, "a", NOW) == Exceeded(60 * SECOND)


def test_forgetting_begins_anew(stores: Stores) -> None:
    for _ in range(3):
        take(stores)
    with stores.database.begin() as connection:
        limits(stores).forget(connection, THREE, "a")
    assert take(stores) is None


def test_several_daemons_share_the_count(stores: Stores) -> None:
    """Were the count read and written in two steps, more than ten of forty would get through."""
    ten = Limit("tries", 10, timedelta(minutes=1))
    let_through: list[object] = []

    def come(database: Database) -> None:
        for _ in range(10):
            with database.begin() as connection:
                let_through.append(limits(stores).take(connection, ten, "a", NOW) is None)

    daemons = [stores, stores.beside(), stores.beside(), stores.beside()]
    threads = [threading.Thread(target=come, args=(daemon.database,)) for daemon in daemons]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for daemon in daemons[1:]:
        daemon.database.close()
    assert len(let_through) == 40
    assert sum(map(bool, let_through)) == 10


def test_whom_a_window_is_about_cannot_be_read_from_it(stores: Stores) -> None:
    take(stores, subject="203.0.113.7")
    with stores.database.read() as connection:
        [row] = connection.execute(rate_windows.select()).all()
    assert b"203.0.113.7" not in row.blind
    assert row.blind != BlindIndex(bytes(32)).subject("tries", "203.0.113.7")
    assert row.blind == stores.ring.blind_index.subject("tries", "203.0.113.7")


def test_windows_that_are_over_are_swept_and_no_others(stores: Stores) -> None:
    take(stores, subject="old")
    take(stores, subject="young", later=30 * SECOND)
    with stores.database.begin() as connection:
        assert not any_over(connection, NOW + 59 * SECOND)
        assert any_over(connection, NOW + 60 * SECOND)
        assert sweep(connection, NOW + 60 * SECOND) == 1
        assert sweep(connection, NOW + 60 * SECOND) == 0
    for _ in range(2):
        assert take(stores, subject="young", later=60 * SECOND) is None
    assert take(stores, subject="young", later=60 * SECOND) is not None


def test_a_window_that_somebody_holds_is_left_for_the_next_sweep(stores: Stores) -> None:
    """Who takes two windows in one transaction may hold one and want the other: a sweep that waits could deadlock."""
    if stores.database.dialect == SQLITE:
        pytest.skip("one writer at a time: nobody holds a window while another sweeps")
    take(stores, subject="held")
    take(stores, subject="free")
    later = NOW + 60 * SECOND
    with stores.database.begin() as holder:
        assert limits(stores).take(holder, THREE, "held", later) is None
        with stores.database.begin() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '100ms'"))
            assert sweep(connection, later) == 1
    counted = [take(stores, subject="held", later=60 * SECOND) is None for _ in range(3)]
    assert counted == [True, True, False]  # what its holder counted is still there


def test_retry_after_is_whole_seconds_and_never_none() -> None:
    assert Exceeded(timedelta(milliseconds=1)).retry_after == 1
    assert Exceeded(timedelta(milliseconds=1001)).retry_after == 2
    assert Exceeded(timedelta(seconds=60)).retry_after == 60

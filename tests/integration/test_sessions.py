"""Sessions: found and opened by the browser's secret alone, ended by rest, by age, by a word, and swept away."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from invites.accounts.assembly import JOINING
from invites.accounts.password_reset import PATIENT
from patient_records.sessions import Session
from tests.support.accounts import Registry
from tests.support.people import House

DATA = b"a record key of thirty-two bytes"


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def registry(house: House) -> Registry:
    return Registry(house)


def begin(registry: Registry, kind: str = PATIENT, subject: int | None = 7) -> Session:
    database = registry.house.database
    with database.begin() as connection:
        return registry.accounts.sessions.begin(connection, kind, subject, DATA, database.now(connection))


def find(registry: Registry, cookie: str, kind: str = PATIENT) -> Session | None:
    database = registry.house.database
    with database.read() as connection:
        return registry.accounts.sessions.find(connection, kind, cookie, database.now(connection))


def use(registry: Registry, session: Session) -> None:
    database, sessions = registry.house.database, registry.accounts.sessions
    with database.begin() as connection:
        now = database.now(connection)
        if sessions.due_to_be_noted(connection, session, now):
            sessions.note_use(connection, session, now)


def test_only_the_cookie_finds_and_opens_it(registry: Registry) -> None:
    session = begin(registry)
    found = find(registry, session.cookie)
    assert found is not None
    assert (found.data, found.subject) == (DATA, 7)
    [row] = registry.house.rows("sessions")
    stored = repr(row)
    assert session.cookie not in stored
    assert repr(DATA)[2:-1] not in stored
    for other in (
        "",
        "x",
        session.cookie[:-1],
        session.cookie.swapcase(),
        "é" * 43,
        begin(registry).cookie[:-2] + "AA",
    ):
        assert find(registry, other) is None


def test_one_kind_is_not_the_other(registry: Registry) -> None:
    session = begin(registry, JOINING, None)
    assert find(registry, session.cookie, JOINING) is not None
    assert find(registry, session.cookie, PATIENT) is None


def test_rest_ends_it_and_use_puts_that_off(registry: Registry) -> None:
    used, idle = begin(registry), begin(registry)
    for _ in range(3):
        registry.house.later(timedelta(minutes=10))
        use(registry, used)
    assert find(registry, used.cookie) is not None
    assert find(registry, idle.cookie) is None


def test_no_use_makes_it_live_longer_than_its_longest(registry: Registry) -> None:
    session = begin(registry)
    for _ in range(8 * 6):
        registry.house.later(timedelta(minutes=10))
        use(registry, session)
    assert find(registry, session.cookie) is None


def test_ending_one_or_all_of_somebody(registry: Registry) -> None:
    first, second, third, other = begin(registry), begin(registry), begin(registry), begin(registry, subject=8)
    sessions = registry.accounts.sessions
    with registry.house.database.begin() as connection:
        sessions.end(connection, first)
        assert sessions.end_all(connection, PATIENT, 7, but=third) == 1
    assert [find(registry, each.cookie) is not None for each in (first, second, third, other)] == [
        False,
        False,
        True,
        True,
    ]


def test_what_is_over_is_swept_away_with_limits_and_accounts_never_confirmed(registry: Registry) -> None:
    begin(registry)
    registry.begin(registry.pair(registry.somebody()))
    early = registry.accounts.upkeep.run()
    assert (early.sessions, early.windows, early.accounts) == (0, 0, 0)
    registry.house.later(timedelta(hours=25))
    late = registry.accounts.upkeep.run()
    assert (late.sessions, late.accounts) == (1, 1)
    assert late.windows >= 2
    assert registry.house.rows("sessions") == []
    [account] = registry.house.rows("accounts")
    assert (account["state"], account["wrapped_key"], account["sealed"]) == ("ended", None, None)
    assert [link["end_reason"] for link in registry.house.rows("account_links")] == ["not_confirmed"]

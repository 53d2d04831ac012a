"""Another password: forgotten, changed, or the whole account closed by staff."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from invites.access_token import AccessToken
from invites.accounts.login import LoggedIn, NoLogin
from invites.accounts.password_reset import NewPassword
from patient_records.audit import Actor
from patient_records.audit_actions import ActorKind
from patient_records.limits import Exceeded
from tests.support.accounts import ADDRESS, BORN, HERE, PASSWORD, Registry, carried
from tests.support.people import House

NOW = datetime.now(UTC)
NEW = "nine green kettles"


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def registry(house: House) -> Registry:
    return Registry(house)


def log_in(registry: Registry, email: str = ADDRESS, password: str = PASSWORD) -> LoggedIn | NoLogin | Exceeded:
    return registry.accounts.login.log_in(email, password, HERE)


def confirm(registry: Registry, secret: AccessToken) -> object:
    return registry.accounts.confirmation.confirm(secret, HERE)


def state(registry: Registry, record_id: int) -> str:
    return registry.house.state(record_id)


def reset(registry: Registry, secret: AccessToken, born: date = BORN) -> bool | Exceeded:
    return registry.accounts.password_reset.set(NewPassword(secret, born, NEW, HERE))


def test_a_forgotten_password_takes_the_link_and_the_date(registry: Registry) -> None:
    registry.register(registry.somebody())
    registry.accounts.password_reset.ask(ADDRESS, "en")
    secret = carried(registry.mails()[-1])
    assert reset(registry, secret, date(1980, 12, 11)) is False
    assert reset(registry, secret) is True
    assert log_in(registry) is NoLogin.WRONG
    assert isinstance(log_in(registry, password=NEW), LoggedIn)
    assert reset(registry, secret) is False


def test_five_wrong_dates_end_a_link(registry: Registry) -> None:
    registry.register(registry.somebody())
    registry.accounts.password_reset.ask(ADDRESS, "en")
    secret = carried(registry.mails()[-1])
    for day in range(1, 6):
        assert reset(registry, secret, date(1990, 1, day)) is False
    assert reset(registry, secret) is False


def test_nobody_is_mailed_who_has_no_account(registry: Registry) -> None:
    registry.accounts.password_reset.ask("nobody@example.net", "en")
    registry.begin(registry.pair(registry.somebody()))
    registry.mails()
    registry.accounts.password_reset.ask(ADDRESS, "en")  # pending is none
    assert registry.mails() == []


def test_a_new_password_ends_every_session(registry: Registry) -> None:
    registry.register(registry.somebody())
    entered = log_in(registry)
    assert isinstance(entered, LoggedIn)
    database, sessions = registry.house.database, registry.accounts.sessions
    with database.begin() as connection:
        session = sessions.begin(connection, "patient", entered.account.id, b"data", database.now(connection))
    registry.accounts.password_reset.ask(ADDRESS, "en")
    assert reset(registry, carried(registry.mails()[-1])) is True
    with database.read() as connection:
        assert sessions.find(connection, "patient", session.cookie, database.now(connection)) is None


def test_changing_a_password_keeps_this_session_and_ends_the_others(registry: Registry) -> None:
    registry.register(registry.somebody())
    entered = log_in(registry)
    assert isinstance(entered, LoggedIn)
    database, sessions, account_id = registry.house.database, registry.accounts.sessions, entered.account.id
    with database.begin() as connection:
        now = database.now(connection)
        mine, other = (sessions.begin(connection, "patient", account_id, b"", now) for _ in range(2))
    change = registry.accounts.password_change
    assert change(account_id, "wrong password", NEW, mine) is False
    assert change(account_id, PASSWORD, NEW, mine) is True
    with database.read() as connection:
        assert sessions.find(connection, "patient", mine.cookie, now) is not None
        assert sessions.find(connection, "patient", other.cookie, now) is None
    assert isinstance(log_in(registry, password=NEW), LoggedIn)


def test_staff_close_an_account_and_the_person_can_begin_again(registry: Registry) -> None:
    record_id = registry.somebody()
    registry.register(record_id)
    database = registry.house.database
    with database.begin() as connection:
        actor = Actor(ActorKind.COORDINATOR, "7")
        assert registry.accounts.closing(connection, record_id, actor, database.now(connection)) is True
        assert registry.accounts.closing(connection, record_id, actor, database.now(connection)) is False
    assert log_in(registry) is NoLogin.WRONG
    registry.register(record_id)
    assert isinstance(log_in(registry), LoggedIn)

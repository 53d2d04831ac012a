"""Logging in: how often anybody may try, and what ends a login that is under way."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from invites.accounts.key_wrap import KeyWrap
from invites.accounts.limits import LOGINS_BY_ADDRESS, LOGINS_BY_BOTH
from invites.accounts.login import LoggedIn, NoLogin
from invites.accounts.password_reset import NewPassword
from patient_records.limits import Exceeded
from patient_records.passwords import Passwords
from tests.support.accounts import ADDRESS, BORN, HERE, PASSWORD, Registry, carried
from tests.support.patience import SAFETY
from tests.support.people import House

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


def state(registry: Registry, record_id: int) -> str:
    return registry.house.state(record_id)


def set_anew(registry: Registry) -> None:
    registry.accounts.password_reset.ask(ADDRESS, "en")
    wish = NewPassword(carried(registry.mails()[-1]), BORN, NEW, HERE)
    assert registry.accounts.password_reset.set(wish) is True


def test_other_spellings_of_one_address_have_no_tries_of_their_own(registry: Registry) -> None:
    registry.register(registry.somebody())
    assert isinstance(log_in(registry, "\uff21da@example.net"), LoggedIn), "a full-width A names the same account"
    letters = "\uff41\uff44\u1d43\u1d48"  # forms of a and d that NFKC makes plain
    spelled = [f"{first}{second}a@example.net" for first in "aA" + letters[::2] for second in "dD" + letters[1::2]]
    for email in spelled[: LOGINS_BY_BOTH.most]:
        assert log_in(registry, email, "wrong password") is NoLogin.WRONG
    assert isinstance(log_in(registry, spelled[-1], "wrong password"), Exceeded)


def test_many_tries_at_once_are_not_many_guesses(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try is counted before its password is looked at: nobody looks before everybody has asked."""
    registry.register(registry.somebody())
    most, looked = LOGINS_BY_BOTH.most + 3, []
    here, asked = threading.Condition(), [0]
    derive = Passwords.derive

    def step() -> None:
        with here:
            asked[0] += 1
            here.notify_all()

    def watched(self: Passwords, password: str, *rest: object) -> bytes:
        looked.append(password)
        step()
        with here:
            assert here.wait_for(lambda: asked[0] >= most, SAFETY)
        return derive(self, password, *rest)  # type: ignore[arg-type]

    def guess() -> None:
        if isinstance(log_in(registry, password="wrong password"), Exceeded):
            step()

    monkeypatch.setattr(Passwords, "derive", watched)
    threads = [threading.Thread(target=guess) for _ in range(most)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(looked) == LOGINS_BY_BOTH.most


def test_a_right_password_counts_for_nothing(registry: Registry) -> None:
    registry.register(registry.somebody())
    for _ in range(LOGINS_BY_ADDRESS.most + 1):
        assert isinstance(log_in(registry), LoggedIn)


def test_a_login_that_is_under_way_is_ended_by_a_new_password(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register(registry.somebody())
    open_ = KeyWrap.open

    def meanwhile(self: KeyWrap, *given: object) -> object:
        opened = open_(self, *given)  # type: ignore[arg-type]
        monkeypatch.setattr(KeyWrap, "open", open_)
        set_anew(registry)
        return opened

    monkeypatch.setattr(KeyWrap, "open", meanwhile)
    assert log_in(registry) is NoLogin.WRONG
    assert isinstance(log_in(registry, password=NEW), LoggedIn)


def test_a_login_that_is_nearly_a_session_is_ended_too(registry: Registry) -> None:
    registry.register(registry.somebody())
    entered = log_in(registry)
    assert isinstance(entered, LoggedIn)
    with registry.house.database.begin() as connection:
        assert registry.accounts.login.still(connection, entered.account)
    set_anew(registry)
    with registry.house.database.begin() as connection:
        assert not registry.accounts.login.still(connection, entered.account)

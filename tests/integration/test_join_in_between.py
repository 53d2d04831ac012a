"""The join site where somebody comes in between, or asks for more than their share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from invites.accounts.login import LoggedIn, Login, NoLogin
from invites.accounts.password_reset import NewPassword
from patient_records.limits import Exceeded
from tests.integration.test_join_pages import Site
from tests.support.accounts import ADDRESS, BORN, PASSWORD, carried, draw_one
from tests.support.patient import date_fields
from tests.support.people import House
from web.join import forgotten


@pytest.fixture
def house(sqlite_url: str) -> Iterator[House]:
    built = House(sqlite_url)
    yield built
    built.close()


@pytest.fixture
def face(house: House) -> Site:
    return Site(house)


def test_no_password_is_judged_for_who_has_no_link(face: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The judge of passwords holds the interpreter for tenths of a second: not for everybody who comes along."""
    judged: list[str] = []
    monkeypatch.setattr(forgotten, "weakness", lambda password, _words: judged.append(password))
    unknown, fields = draw_one(), {"password": PASSWORD, **date_fields(BORN.isoformat())}
    assert face.send("/reset", secret=unknown.code + unknown.token, **fields).status_code == 422
    assert judged == []
    registry = face.registry
    registry.register(registry.somebody())
    registry.accounts.password_reset.ask(ADDRESS, "en")
    link = carried(registry.mails()[-1])
    assert face.send("/reset", secret=link.code + link.token, **fields).status_code == 200
    assert judged == [PASSWORD]


def test_a_login_whose_password_was_set_anew_begins_no_session(face: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    registry, log_in = face.registry, Login.log_in
    registry.register(registry.somebody())

    def and_then(self: Login, *given: str) -> LoggedIn | NoLogin | Exceeded:
        said = log_in(self, *given)
        registry.accounts.password_reset.ask(ADDRESS, "en")
        wish = NewPassword(carried(registry.mails()[-1]), BORN, "nine green kettles", "192.0.2.8")
        assert registry.accounts.password_reset.set(wish) is True
        return said

    monkeypatch.setattr(Login, "log_in", and_then)
    assert face.send("/login", email=ADDRESS, password=PASSWORD).status_code == 422
    assert face.ask("GET", "/record").headers["location"] == "/login"


def test_no_redirect_repeats_who_was_asked(face: Site) -> None:
    """Starlette's own, for a slash too many, would: an address made of the Host header, and of http behind a proxy."""
    answer = face.ask("GET", "/join/", headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers.get("location")) == (404, None)

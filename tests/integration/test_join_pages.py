"""The join site's pages: the same bytes whatever is wrong, nothing of the inside, and nothing but its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import update

from invites.access_token import AccessToken
from invites.accounts.assembly import JOINING
from invites.accounts.limits import WRONG_BY_ADDRESS
from invites.accounts.password_reset import PATIENT
from invites.tables import access_tokens
from patient_records.errors import StorageUnavailable
from patient_records.model import Standing
from tests.support.accounts import ADDRESS, BORN, PASSWORD, Registry, carried, draw_one
from tests.support.patient import FORM, date_fields
from tests.support.people import DEAD, House
from web.join.house import JoinHouse
from web.join.site import FOLDER, site
from web.pages.in_thread import InThread
from web.pages.pages import Look, Pages
from web.pages.visit import Visits

TLS = "https://join.example"


class Site:
    """The join site over a house, spoken to without a socket."""

    def __init__(self, house: House, *, password_reset: bool = True) -> None:
        self.registry = Registry(house)
        self.faults: list[BaseException] = []
        self.counted: list[tuple[str, str]] = []
        sessions = self.registry.accounts.sessions
        self.house = JoinHouse(
            database=house.database,
            accounts=self.registry.accounts,
            audit=self.registry.audit,
            pages=Pages(FOLDER, Look("Example Hospital", "01632 960000"), secure=True, zone=house.options.zone),
            threads=InThread(),
            joining=Visits(house.database, sessions, JOINING, secure=True),
            patients=Visits(house.database, sessions, PATIENT, secure=True),
            organisations=house.options.organisations,
            proxies=(),
            password_reset=password_reset,
            count=lambda step, outcome: self.counted.append((step, outcome)),
        )
        self.app = site(self.house, fault=self.faults.append)
        self.cookies = httpx.Cookies()

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """Send one request, in the browser's place."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("192.0.2.7", 1234))
            async with httpx.AsyncClient(transport=transport, base_url=TLS, cookies=self.cookies) as client:
                response = await client.request(method, path, **given)
                self.cookies = client.cookies
                return response

        return asyncio.run(asked())

    def token(self, path: str = "/join") -> str:
        """A form token of this browser."""
        return self.ask("GET", path).text.partition('name="form_token" value="')[2].partition('"')[0]

    def send(self, path: str, **fields: str) -> httpx.Response:
        """Send a form."""
        return self.ask("POST", path, data={"form_token": self.token(), **fields})

    def birth(self, pair: AccessToken, born: date = BORN) -> httpx.Response:
        """Answer the challenge."""
        return self.send("/join/birth", code=pair.code, token=pair.token, **date_fields(born.isoformat()))

    def log_in(self) -> None:
        """Somebody with an account logs in."""
        self.registry.register(self.registry.somebody())
        assert self.send("/login", email=ADDRESS, password=PASSWORD).headers["location"] == "/record"


@pytest.fixture
def house(sqlite_url: str) -> Iterator[House]:
    built = House(sqlite_url)
    yield built
    built.close()


@pytest.fixture
def face(house: House) -> Site:
    return Site(house)


def test_whatever_is_wrong_is_the_same_page_to_the_byte(face: Site) -> None:
    registry, pages = face.registry, {}
    house = registry.house

    def keep(name: str, pair: AccessToken, born: date = BORN) -> None:
        response = face.birth(pair, born)
        # What was typed is shown again, so it is taken out before comparing; nothing else is.
        text = response.text.replace(pair.code[:5], "C").replace(pair.code[5:], "C")
        text = text.replace(pair.token[:5], "T").replace(pair.token[5:], "T")
        headers = {name: value for name, value in response.headers.items() if name != "content-length"}
        pages[name] = (response.status_code, headers, text)

    keep("unknown", draw_one())
    first = registry.pair(registry.somebody(1))
    keep("token of another", AccessToken(first.code, draw_one().token))
    for number, change in enumerate(
        ({"death": DEAD}, {"standing": Standing(hold="x")}, {"standing": Standing(merged_into=9)}), 2
    ):
        pair = registry.pair(record_id := registry.somebody(number))
        house.change(record_id, **change)  # type: ignore[arg-type]
        keep(str(change), pair)
    expired = registry.pair(registry.somebody(7))
    spent = registry.pair(registry.somebody(8))
    with house.database.begin() as connection:
        lookup = max(row["id"] for row in house.rows("access_tokens"))  # type: ignore[type-var]
        connection.execute(update(access_tokens).where(access_tokens.c.id == lookup).values(ended_at=1))
    keep("spent", spent)
    house.later(timedelta(days=31))
    keep("expired", expired)
    assert len(pages) == 7
    reference = pages.pop("unknown")
    assert reference[0] == 422
    for name, page in pages.items():
        assert page == reference, name


def test_a_wrong_date_is_the_same_page_too(face: Site) -> None:
    pair = face.registry.pair(face.registry.somebody())
    wrong, other = face.birth(pair, date(1980, 12, 11)), face.birth(draw_one(), date(1980, 12, 11))
    assert wrong.status_code == other.status_code == 422
    assert len(wrong.content) == len(other.content)


def test_a_slip_is_told_and_counts_as_nothing(face: Site) -> None:
    pair = face.registry.pair(face.registry.somebody())
    swapped = pair.code[1] + pair.code[0] + pair.code[2:] if pair.code[0] != pair.code[1] else "23" + pair.code[2:]
    for _ in range(WRONG_BY_ADDRESS.most + 5):
        told = face.send("/join", code=swapped, token=pair.token)
    assert "slip in the invitation code" in told.text
    assert "Enter your token" in face.send("/join", code=pair.code).text
    assert "This is your token" in face.send("/join", code=pair.token, token=pair.code).text
    assert face.send("/join/birth", code=swapped, token=pair.token, **date_fields("1980-12-10")).status_code == 422
    assert (
        face.send(
            "/join/birth", code=pair.code, token=pair.token, birth_day="31", birth_month="2", birth_year="1980"
        ).status_code
        == 422
    )
    assert face.birth(pair).headers["location"] == "/join/account"
    assert face.registry.house.rows("access_tokens")[0]["wrong_answers"] == 0


def test_what_became_of_each_step_is_counted(face: Site) -> None:
    pair = face.registry.pair(face.registry.somebody())
    face.send("/join", code=pair.token, token=pair.code)
    face.birth(draw_one())
    face.birth(pair)
    face.registry.begin(pair)
    secret = carried(face.registry.mails()[-1])
    face.send("/confirm", secret=secret.code + secret.token)
    face.send("/login", email=ADDRESS, password="wrong password")
    face.send("/login", email=ADDRESS, password=PASSWORD)
    assert face.counted == [
        ("challenge", "slip"),
        ("challenge", "wrong"),
        ("challenge", "proven"),
        ("confirmation", "now"),
        ("login", "wrong"),
        ("login", "entered"),
    ]


def test_too_many_wrong_ones_are_told_to_wait(face: Site) -> None:
    for _ in range(WRONG_BY_ADDRESS.most):
        assert face.birth(draw_one()).status_code == 422
    refused = face.birth(draw_one())
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert "Too many tries" in refused.text


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/join",
        "/join/birth",
        "/join/account",
        "/join/sent",
        "/confirm",
        "/login",
        "/forgotten",
        "/reset",
        "/record",
        "/record/views",
        "/record/password",
        "/logout",
        "/nowhere",
    ],
)
def test_every_answer_carries_the_headers(face: Site, path: str) -> None:
    headers = face.ask("GET", path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["strict-transport-security"].startswith("max-age=31536000")
    assert headers["referrer-policy"] == "no-referrer"
    assert "noindex" in headers["x-robots-tag"]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert "camera=()" in headers["permissions-policy"]


def test_cookies_are_for_this_host_over_tls_and_no_script(face: Site) -> None:
    face.log_in()
    response = face.send("/login", email=ADDRESS, password=PASSWORD)
    told = [value for name, value in response.headers.multi_items() if name == "set-cookie"]
    live = [cookie for cookie in told if "Max-Age=0" not in cookie]
    assert len(live) == 2  # the session, and a new one for forms
    for cookie in live:
        assert cookie.startswith("__Host-")
        for guard in ("Secure", "HttpOnly", "Path=/", "SameSite=lax"):
            assert guard in cookie
        assert "Domain" not in cookie


def test_a_login_changes_session_and_form_cookie(face: Site) -> None:
    face.log_in()
    before = dict(face.cookies)
    stale = face.token()
    assert face.send("/login", email=ADDRESS, password=PASSWORD).status_code == 303
    assert {name for name, value in before.items() if face.cookies.get(name) == value} == set()
    assert face.ask("POST", "/record/password", data={"form_token": stale}).status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/join",
        "/join/birth",
        "/join/not-me",
        "/join/account",
        "/confirm",
        "/login",
        "/logout",
        "/forgotten",
        "/reset",
        "/record/password",
    ],
)
def test_no_form_is_believed_that_is_from_elsewhere(face: Site, path: str) -> None:
    token = face.token()
    assert face.ask("POST", path, data={"code": "x"}).status_code == 403
    assert face.ask("POST", path, data={"form_token": token[:-1] + "x"}).status_code == 403
    for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        assert face.ask("POST", path, data={"form_token": token}, headers=headers).status_code == 403
    face.cookies = httpx.Cookies()
    assert face.ask("POST", path, data={"form_token": token}).status_code == 403


def test_what_is_too_large_or_no_form_is_refused(face: Site) -> None:
    token = face.token()
    assert face.ask("POST", "/join", data={"form_token": token, "code": "x" * 70_000}).status_code == 413
    assert face.ask("POST", "/join", json={"form_token": token}).status_code == 415
    many = {f"field{number}": "x" for number in range(60)}
    assert face.ask("POST", "/join", data={"form_token": token, **many}).status_code == 400
    twice = f"form_token={token}&code=1&code=2"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert face.ask("POST", "/join", content=twice, headers=kind).status_code == 400


def test_a_fault_shows_nothing_of_itself_and_is_reported(face: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_given: object) -> None:
        raise ZeroDivisionError("with a secret in it")

    monkeypatch.setattr(type(face.registry.accounts.confirmation), "confirm", broken)
    drawn = draw_one()
    response = face.send("/confirm", secret=drawn.code + drawn.token)
    assert response.status_code == 500
    assert "secret in it" not in response.text
    assert "ZeroDivision" not in response.text
    assert [type(fault) for fault in face.faults] == [ZeroDivisionError]


def test_a_database_that_is_away_is_a_page_and_no_fault(face: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_given: object) -> None:
        raise StorageUnavailable("gone")

    monkeypatch.setattr(type(face.registry.accounts.confirmation), "confirm", away)
    drawn = draw_one()
    assert face.send("/confirm", secret=drawn.code + drawn.token).status_code == 503
    assert face.faults == []


def test_what_is_typed_is_never_markup(face: Site) -> None:
    response = face.send("/join", code='"><script>alert(1)</script>', token="<b>")
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;" in response.text or "&#34;&gt;&lt;script" in response.text


def test_asking_for_a_new_password_is_one_page_for_everybody(face: Site) -> None:
    face.registry.register(face.registry.somebody())
    known, unknown = face.send("/forgotten", email=ADDRESS), face.send("/forgotten", email="bob@example.net")
    assert known.status_code == unknown.status_code == 200
    assert known.content == unknown.content
    assert [mail.to for mail in face.registry.mails()] == [ADDRESS]


def test_registering_with_an_address_in_use_is_one_page_for_everybody(face: Site) -> None:
    face.registry.register(face.registry.somebody(1))
    pair = face.registry.pair(face.registry.somebody(2))
    pages = []
    for email in (ADDRESS, "bob@example.net"):
        assert face.birth(pair).headers["location"] == "/join/account"
        response = face.send("/join/account", email=email, password=PASSWORD)
        assert response.headers["location"] == "/join/sent"
        pages.append(face.ask("GET", "/join/sent").content)
    assert pages[0] == pages[1]


def test_a_wrong_login_is_one_page_for_known_and_unknown(face: Site) -> None:
    face.registry.register(face.registry.somebody())
    known = face.send("/login", email=ADDRESS, password="wrong password")
    unknown = face.send("/login", email=ADDRESS[::-1], password="wrong password")
    assert known.status_code == unknown.status_code == 422
    assert known.text.replace(ADDRESS, "") == unknown.text.replace(ADDRESS[::-1], "")


def test_a_hospital_may_forbid_the_mail(house: House) -> None:
    face = Site(house, password_reset=False)
    face.registry.register(face.registry.somebody())
    for response in (
        face.send("/forgotten", email=ADDRESS),
        face.send("/reset", secret="x"),
        face.ask("GET", "/reset"),
    ):
        assert "front desk" in response.text
    assert face.registry.mails() == []


def test_a_get_changes_nothing(face: Site) -> None:
    registry = face.registry
    registry.begin(registry.pair(registry.somebody()))
    secret = carried(registry.mails()[-1])
    before = {name: registry.house.rows(name) for name in ("access_tokens", "invitations", "outbox")}
    for path in ("/confirm", "/join", "/join/birth", "/join/not-me", "/logout", "/reset", f"/confirm?k={secret.code}"):
        face.ask("GET", path)
        face.ask("HEAD", path)
    assert {name: registry.house.rows(name) for name in before} == before
    assert registry.accounts.confirmation.confirm(secret, "192.0.2.1") == "now"


def test_who_is_not_logged_in_is_sent_to_log_in(face: Site) -> None:
    for path in ("/record", "/record/views", "/record/password"):
        assert face.ask("GET", path).headers["location"] == "/login"
    face.log_in()
    assert "Ada Lovelace" in face.ask("GET", "/record").text
    face.registry.house.later(timedelta(minutes=16))
    assert face.ask("GET", "/record").headers["location"] == "/login"


def test_all_that_pages_load_is_on_this_port(face: Site) -> None:
    page = face.ask("GET", "/join").text
    loaded = [piece.partition('"')[0] for piece in page.replace('src="', 'href="').split('href="')[1:]]
    assert all(path.startswith(("/", "?", "#")) for path in loaded)
    for path in loaded:
        if path.startswith("/assets/"):
            response = face.ask("GET", path)
            assert response.status_code == 200
            assert "immutable" in response.headers["cache-control"]
    assert FORM.search(page)

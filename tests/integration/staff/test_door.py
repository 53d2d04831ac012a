"""The staff's pages over HTTP: who gets in, and what guards the door."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from patient_records.limits import Limit
from patient_records.passwords import Passwords
from tests.support.staff_site import PASSWORD, StaffSite, Visitor
from web.ops.door import PASSWORDS
from web.ops.tables import staff_sessions

PAGES = ["/staff/people", "/staff/people/0123", "/staff/service", "/staff/password"]
FORMS = ["/staff/people", "/staff/people/{ada}/pair", "/staff/people/{ada}/letter", "/staff/people/{ada}/split"]
FORMS += ["/staff/people/{ada}/revoke", "/staff/people/{ada}/decide", "/staff/entries/1/settle", "/staff/password"]


def test_nobody_gets_in_without_logging_in(site: StaffSite, ada: str) -> None:
    with site.visitor() as visitor:
        assert visitor.get("/staff").headers["location"] == "/staff/people"
        for path in [*PAGES, f"/staff/people/{ada}"]:
            answer = visitor.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/staff/login"), path
            assert "Lovelace" not in answer.text
        for path in FORMS:
            answer = visitor.post(path.format(ada=ada), decision="opt_out", pair="all")
            assert (answer.status_code, answer.headers["location"]) == (303, "/staff/login"), path
    assert site.standing(ada).opted_out_at is None
    assert "record_viewed" not in site.actions()


def test_a_form_from_elsewhere_does_nothing(site: StaffSite, anna: Visitor, ada: str) -> None:
    before = len(site.trail())
    for path in [*FORMS, "/staff/logout", "/staff/login"]:
        url, fields = path.format(ada=ada), {"decision": "opt_out", "login": "anna", "password": PASSWORD}
        assert anna.client.post(url, data=fields).status_code == 403, path
        assert anna.client.post(url, data={**fields, "form_token": "0" * 64}).status_code == 403, path
        elsewhere = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        token = re.search(r'form_token" value="(\w+)"', anna.get("/staff/people").text)
        assert token is not None
        answer = anna.client.post(url, data={**fields, "form_token": token[1]}, headers=elsewhere)
        assert answer.status_code == 403, path
    assert len(site.trail()) == before
    assert anna.get("/staff/people").status_code == 200


def test_the_session_cookie_is_guarded(site: StaffSite) -> None:
    with site.visitor() as visitor:
        given = visitor.log_in().headers.get_list("set-cookie")
    [cookie] = [one for one in given if one.startswith("doorstep-staff=")]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}
    assert "max-age" not in cookie.lower(), "it ends with the browser"


def test_behind_tls_the_cookie_is_secure(tmp_path: Path, sqlite_url: str) -> None:
    with StaffSite(tmp_path, sqlite_url, {"api": {"public_url": "https://staff.example"}}) as site:
        site.staff()
        with site.visitor() as visitor:
            page = visitor.get("/staff/login")
            cookie = page.headers["set-cookie"]
            assert cookie.startswith("__Host-doorstep-form=")
            assert "; secure" in cookie.lower()
            assert "max-age=31536000" in page.headers["strict-transport-security"]
            token = re.search(r'form_token" value="(\w+)"', page.text)
            assert token is not None
            fields = {"form_token": token[1], "login": "anna", "password": PASSWORD}
            answer = visitor.client.post("/staff/login", data=fields, headers={"cookie": cookie.partition(";")[0]})
    [session] = [one for one in answer.headers.get_list("set-cookie") if "doorstep-staff=" in one]
    assert session.startswith("__Host-doorstep-staff=")
    assert "; secure" in session.lower()


def test_every_page_has_its_headers(site: StaffSite, anna: Visitor, ada: str) -> None:
    for path in ["/staff/login", "/staff/people", f"/staff/people/{ada}", "/staff/service", "/staff/nothing"]:
        headers = anna.get(path).headers
        assert headers["cache-control"] == "no-store", path
        assert headers["content-security-policy"].startswith("default-src 'none'"), path
        assert headers["x-frame-options"] == "DENY", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert headers["x-content-type-options"] == "nosniff", path
    assert anna.client.post("/staff/login", content=b"x" * (65 << 10)).status_code in {413, 415}
    assert site.url


def test_the_first_login_sets_a_password_and_until_then_sees_nothing(site: StaffSite, ada: str) -> None:
    made = site.house.staff.add("berta", "RX1", site.staff("root-of-tests").actor)
    with site.visitor() as visitor:
        assert visitor.log_in("berta", made.password).headers["location"] == "/staff/password"
        for path in ["/staff/people", f"/staff/people/{ada}", "/staff/service"]:
            assert visitor.get(path).headers["location"] == "/staff/password", path
        old = dict(visitor.client.cookies)["doorstep-staff"]
        for new, again, said in [
            ("short", "short", "at least 10"),
            ("password1234", "password1234", "first that somebody else would try"),
            ("four green kettles", "four green kettle", "not the same"),
            (made.password, made.password, "Please choose another one"),
        ]:
            answer = visitor.post("/staff/password", page="/staff/password", new=new, again=again)
            assert said in answer.text
        done = visitor.post(
            "/staff/password", page="/staff/password", new="four green kettles", again="four green kettles"
        )
        assert done.headers["location"] == "/staff/people?said=password"
        assert dict(visitor.client.cookies)["doorstep-staff"] != old
        assert visitor.get("/staff/people").status_code == 200
    with site.visitor() as thief:
        thief.client.cookies.set("doorstep-staff", old)
        assert thief.get("/staff/people").status_code == 303


def test_a_desk_that_was_left_open_is_no_way_to_guess_its_password(anna: Visitor) -> None:
    new = {"new": "four green kettles", "again": "four green kettles"}
    for number in range(PASSWORDS.most):
        wrong = anna.post("/staff/password", page="/staff/password", old=f"guess number {number}", **new)
        assert "not your password" in wrong.text
    assert anna.post("/staff/password", page="/staff/password", old=PASSWORD, **new).status_code == 429


def test_a_new_password_needs_the_old_one(site: StaffSite, anna: Visitor) -> None:
    new = {"new": "four green kettles", "again": "four green kettles"}
    wrong = anna.post("/staff/password", page="/staff/password", old="not it at all", **new)
    assert "not your password" in wrong.text
    assert anna.post("/staff/password", page="/staff/password", old=PASSWORD, **new).status_code == 303
    with site.visitor() as visitor:
        assert visitor.log_in().status_code == 200
        assert visitor.log_in(password="four green kettles").status_code == 303


def test_every_refused_login_is_the_same_page(site: StaffSite) -> None:
    site.staff("locked")
    pages = set()
    with site.visitor() as visitor:
        for _ in range(5):
            visitor.log_in("locked", "wrong and wrong")
        for login, password in [("anna", "wrong"), ("locked", PASSWORD), ("nobody", "wrong"), ("no login!", "wrong")]:
            answer = visitor.log_in(login, password)
            assert answer.status_code == 200
            assert PASSWORD not in answer.text
            pages.add(answer.text.replace(f'value="{login}"', ""))
    assert len(pages) == 1, pages


def test_too_many_tries_from_one_place_are_refused_before_any_work(
    site: StaffSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.ops.door.LOGINS", Limit("staff.logins", 3, timedelta(minutes=15)))
    with site.visitor() as visitor:
        for _ in range(3):
            visitor.log_in("nobody", "wrong")
        monkeypatch.setattr(Passwords, "derive", lambda *_: pytest.fail("a derivation"))
        monkeypatch.setattr(Passwords, "verify", lambda *_: pytest.fail("a derivation"))
        answer = visitor.log_in()
    assert answer.status_code == 429
    assert "too many tries" in answer.text


def test_a_shift_that_logs_in_from_one_place_locks_nobody_out(site: StaffSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.ops.door.LOGINS", Limit("staff.logins", 2, timedelta(minutes=15)))
    for _ in range(4):
        with site.visitor() as visitor:
            assert visitor.log_in().status_code == 303
    with site.visitor() as visitor:
        assert [visitor.log_in("nobody", "wrong").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [
        (["127.0.0.1/32"], {"192.0.2.2": 303, "192.0.2.2, 192.0.2.1": 429}),  # what a desk wrote itself says nothing
        ([], {"192.0.2.2": 429}),  # nobody's word is taken
    ],
)
def test_behind_a_trusted_proxy_each_desk_has_a_limit_of_its_own(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, proxies: list[str], forwarded: dict[str, int]
) -> None:
    monkeypatch.setattr("web.ops.door.LOGINS", Limit("staff.logins", 1, timedelta(minutes=15)))
    with StaffSite(tmp_path, sqlite_url, {"api": {"trusted_proxies": proxies}}) as site, site.visitor() as visitor:
        site.staff()
        visitor.client.headers["x-forwarded-for"] = "192.0.2.1"
        assert [visitor.log_in("nobody", "wrong").status_code for _ in range(2)] == [200, 429]
        for told, answered in forwarded.items():
            visitor.client.headers["x-forwarded-for"] = told
            assert visitor.log_in().status_code == answered, told


def test_a_logout_ends_the_session_everywhere(site: StaffSite, anna: Visitor) -> None:
    stolen = dict(anna.client.cookies)["doorstep-staff"]
    assert anna.post("/staff/logout", page="/staff/people").headers["location"] == "/staff/login"
    assert site.rows(staff_sessions) == []
    with site.visitor() as thief:
        thief.client.cookies.set("doorstep-staff", stolen)
        assert thief.get("/staff/people").status_code == 303
    assert site.actions()[0] == "staff_logged_out"

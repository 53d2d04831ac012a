"""The staff's pages over HTTP: who gets in, what they may do, what is written down, and what never stands anywhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pypdf
import pytest
from sqlalchemy import insert, update

from invites.tables import access_tokens, attempts, outbox
from patient_records.instants import to_micros
from patient_records.limits import Limit
from patient_records.model import Identifier
from patient_records.passwords import Passwords
from tests.support.people import EMAIL_ONLY, SMS_ONLY, person
from tests.support.staff_site import PASSWORD, StaffSite, Visitor
from web.ops.tables import staff_sessions

NHS = Identifier("NHS", "NH", "9990000018")
LOCAL = Identifier("RX1", "MR", "4711", "RX1")
ADA = person(identifiers=(NHS, LOCAL))


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Iterator[StaffSite]:
    with StaffSite(tmp_path, database_url) as made:
        made.staff()
        yield made


@pytest.fixture
def anna(site: StaffSite) -> Iterator[Visitor]:
    with site.logged_in() as visitor:
        yield visitor


@pytest.fixture
def ada(site: StaffSite) -> str:
    return site.arrive([ADA])[0]


def actions(site: StaffSite, public_id: str | None = None) -> list[str]:
    return [entry.action for entry in site.trail(public_id)]


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
    assert "record_viewed" not in actions(site)


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


def test_a_logout_ends_the_session_everywhere(site: StaffSite, anna: Visitor) -> None:
    stolen = dict(anna.client.cookies)["doorstep-staff"]
    assert anna.post("/staff/logout", page="/staff/people").headers["location"] == "/staff/login"
    assert site.rows(staff_sessions) == []
    with site.visitor() as thief:
        thief.client.cookies.set("doorstep-staff", stolen)
        assert thief.get("/staff/people").status_code == 303
    assert actions(site)[0] == "staff_logged_out"


@pytest.mark.parametrize("identifier", ["9990000018", "999 000 0018", "4711", "4711^^^RX1^MR", "  4711 "])
def test_a_person_is_found_by_any_identifier_and_the_address_tells_none(
    site: StaffSite, anna: Visitor, ada: str, identifier: str
) -> None:
    found = anna.post("/staff/people", identifier=identifier)
    assert found.headers["location"] == f"/staff/people/{ada}"
    page = anna.get(found.headers["location"]).text
    for shown in ("Ada Lovelace", "10 December 1980", "9990000018", "+447700900123", "ada@example.org", "1 Long Lane"):
        assert shown in page, shown
    assert actions(site, ada) == ["record_viewed"]


def test_who_is_not_theirs_is_nobody_to_them(site: StaffSite, anna: Visitor, ada: str) -> None:
    site.staff("other", "RX2")
    with site.logged_in("other") as other:
        found = other.post("/staff/people", identifier="9990000018")
        assert "made by another organisation" in found.text
        assert "Lovelace" not in found.text
        assert other.get(f"/staff/people/{ada}").status_code == 404
        for path in FORMS[1:6]:
            answer = other.post(path.format(ada=ada), decision="opt_out", pair="all", code_by="sms", token_by="email")
            assert answer.status_code == 404, path
    assert actions(site, ada) == []
    assert site.standing(ada).opted_out_at is None
    assert site.rows(access_tokens) == []
    assert [entry.detail for entry in site.trail() if entry.action == "record_not_found"] == [{"reason": "elsewhere"}]
    assert anna.get(f"/staff/people/{ada}").status_code == 200


def test_a_search_for_nobody_says_so_and_is_written_down_without_what_was_typed(site: StaffSite, anna: Visitor) -> None:
    answer = anna.post("/staff/people", identifier="9999999999")
    assert "Nobody is known" in answer.text
    [entry] = [one for one in site.trail() if one.action == "record_not_found"]
    assert (entry.detail, entry.organisation) == ({"reason": "nobody"}, "RX1")


def test_a_pair_is_shown_once(site: StaffSite, anna: Visitor, ada: str) -> None:
    page = anna.post(f"/staff/people/{ada}/pair")
    assert page.status_code == 200
    shown = re.findall(r"<dd>([2-9B-Z]{5} [2-9B-Z]{5})</dd>", page.text)
    assert len(shown) == 2
    [pair] = site.rows(access_tokens)
    assert (pair.origin, pair.ended_at) == ("front_desk", None)
    for path in (f"/staff/people/{ada}", "/staff/service", "/staff/people"):
        text = anna.get(path).text
        assert not any(code in text or code.replace(" ", "") in text for code in shown), path
    issued = [entry for entry in site.trail(ada) if entry.action == "pair_issued"]
    assert [entry.detail for entry in issued] == [{"by": "screen", "pair": pair.id}]
    anna.post(f"/staff/people/{ada}/pair")
    assert [row.ended_at for row in site.rows(access_tokens)] == [None, None], "older ones live on"


def test_a_pair_is_printed_as_the_letter_that_a_hospital_would_post(site: StaffSite, anna: Visitor, ada: str) -> None:
    answer = anna.post(f"/staff/people/{ada}/letter")
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["cache-control"] == "no-store"
    text = pypdf.PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
    assert "Lovelace" in text
    assert "1980" not in text
    assert actions(site, ada)[:2] == ["letter_printed", "pair_issued"]


def test_a_letter_that_cannot_be_printed_leaves_no_pair_behind(site: StaffSite, anna: Visitor) -> None:
    [nowhere] = site.arrive([person(7, addresses=())])
    answer = anna.post(f"/staff/people/{nowhere}/letter")
    assert "Show the codes on the screen instead" in answer.text
    [pair] = site.rows(access_tokens)
    assert (pair.end_reason, pair.wrapped_key) == ("revoked", None)


def test_a_pair_goes_out_in_two_parts(site: StaffSite, anna: Visitor, ada: str) -> None:
    done = anna.post(f"/staff/people/{ada}/split", code_by="sms", token_by="email")
    assert done.headers["location"] == f"/staff/people/{ada}?said=split"
    [pair] = site.rows(access_tokens)
    entries = site.rows(outbox)
    assert [(row.purpose, row.channel, row.access_token_id) for row in entries] == [
        ("pair_code", "sms", pair.id),
        ("pair_token", "email", pair.id),
    ]
    anna.post(f"/staff/people/{ada}/split", code_by="letter", token_by="sms")
    assert len(site.rows(outbox)) == 4
    page = anna.get(f"/staff/people/{ada}").text
    assert "Code (of two parts)" in page


@pytest.mark.parametrize("by", [("sms", "sms"), ("sms", "letter"), ("sms", ""), ("", ""), ("sms", "pigeon")])
def test_two_parts_need_two_ways(site: StaffSite, anna: Visitor, by: tuple[str, str]) -> None:
    [bob] = site.arrive([person(8, addresses=(), home=SMS_ONLY + EMAIL_ONLY)])
    answer = anna.post(f"/staff/people/{bob}/split", code_by=by[0], token_by=by[1])
    assert "two different channels" in answer.text
    assert site.rows(access_tokens) == []
    assert site.rows(outbox) == []


@pytest.mark.parametrize("how", ["pair", "letter", "split"])
def test_who_may_have_no_pair_gets_none(site: StaffSite, anna: Visitor, ada: str, how: str) -> None:
    anna.post(f"/staff/people/{ada}/decide", decision="hold", ground="clinical")
    answer = anna.post(f"/staff/people/{ada}/{how}", code_by="sms", token_by="email")
    assert "on hold, opted out or excluded" in answer.text
    assert site.rows(access_tokens) == []
    assert "pair_refused" in actions(site, ada)


def test_revoking_ends_pairs_and_what_carries_them(site: StaffSite, anna: Visitor, ada: str) -> None:
    anna.post(f"/staff/people/{ada}/pair")
    anna.post(f"/staff/people/{ada}/split", code_by="sms", token_by="email")
    first, second = site.rows(access_tokens)
    done = anna.post(f"/staff/people/{ada}/revoke", pair=str(first.id))
    assert done.headers["location"].endswith("said=revoked")
    assert [row.end_reason for row in site.rows(access_tokens)] == ["revoked", None]
    assert {row.state for row in site.rows(outbox)} == {"queued"}
    anna.post(f"/staff/people/{ada}/revoke", pair="all")
    assert [(row.end_reason, row.wrapped_key) for row in site.rows(access_tokens)] == [("revoked", None)] * 2
    assert {(row.state, row.sealed_payload) for row in site.rows(outbox)} == {("cancelled", None)}
    assert second.end_reason is None
    again = anna.post(f"/staff/people/{ada}/revoke", pair="all")
    assert again.headers["location"].endswith("said=nothing_to_revoke")
    assert [entry.detail for entry in site.trail(ada) if entry.action == "pairs_revoked"] == [{"count": 1}] * 2


def test_an_invitation_that_was_sent_stays_one_when_its_codes_are_revoked(
    site: StaffSite, anna: Visitor, ada: str
) -> None:
    site.house.invites.issue.run()
    with site.house.database.begin() as connection:
        connection.execute(update(outbox).values(state="accepted", final_at=1, sealed_payload=None))
    anna.post(f"/staff/people/{ada}/revoke", pair="all")
    assert site.house.invites.issue.run().issued == {}
    assert "Invited" in anna.get(f"/staff/people/{ada}").text


UNDONE_BY = {"hold": "release", "exclude": "include", "opt_out": "opt_in"}


@pytest.mark.parametrize(
    ("decision", "fields"),
    [("hold", {"ground": "safeguarding"}), ("exclude", {"ground": "test_record"}), ("opt_out", {})],
)
def test_decisions_have_their_consequences(
    site: StaffSite, anna: Visitor, ada: str, decision: str, fields: dict[str, str]
) -> None:
    undo = UNDONE_BY[decision]
    anna.post(f"/staff/people/{ada}/pair")
    done = anna.post(f"/staff/people/{ada}/decide", decision=decision, **fields)
    assert done.headers["location"] == f"/staff/people/{ada}?said={decision}"
    assert site.rows(access_tokens)[0].ended_at is not None
    page = anna.get(done.headers["location"]).text
    assert 'class="badge no"' in page
    assert anna.post(f"/staff/people/{ada}/decide", decision=undo).headers["location"].endswith(f"said={undo}")
    assert anna.post(f"/staff/people/{ada}/decide", decision=undo).headers["location"].endswith("said=already_so")


@pytest.mark.parametrize(
    "fields", [{"decision": "hold"}, {"decision": "hold", "ground": "because"}, {"decision": "burn"}]
)
def test_a_decision_that_is_none_changes_nothing(
    site: StaffSite, anna: Visitor, ada: str, fields: dict[str, str]
) -> None:
    assert "choose a reason" in anna.post(f"/staff/people/{ada}/decide", **fields).text
    assert site.standing(ada).hold is None


@pytest.mark.parametrize(("word", "state"), [("accepted", "accepted"), ("not_sent", "queued")])
def test_staff_settle_what_nobody_knows(site: StaffSite, anna: Visitor, ada: str, word: str, state: str) -> None:
    entry_id = _unknown(site)
    service = anna.get("/staff/service").text
    assert f"/staff/entries/{entry_id}/settle" in service
    site.staff("other", "RX2")
    with site.logged_in("other") as other:
        assert f"/staff/entries/{entry_id}/settle" not in other.get("/staff/service").text
        refused = other.post(f"/staff/entries/{entry_id}/settle", word=word)
        assert refused.headers["location"].endswith("said=settled_before")
    assert site.rows(outbox)[0].state == "unknown"
    done = anna.post(f"/staff/entries/{entry_id}/settle", word=word)
    assert done.headers["location"] == f"/staff/service?said={word}"
    assert site.rows(outbox)[0].state == state
    [entry] = [one for one in site.trail(ada) if one.action == "delivery_settled"]
    assert entry.detail == {"entry": entry_id, "outcome": word}
    again = anna.post(f"/staff/entries/{entry_id}/settle", word=word, person=ada)
    assert again.headers["location"] == f"/staff/people/{ada}?said=settled_before"
    assert anna.post(f"/staff/entries/{entry_id}/settle", word="perhaps").status_code == 400


def _unknown(site: StaffSite) -> int:
    """An invitation whose sending nobody knows the end of."""
    site.house.invites.issue.run()
    [row] = site.rows(outbox)
    now = to_micros(datetime.now(UTC))
    with site.house.database.begin() as connection:
        connection.execute(update(outbox).values(state="unknown", due_at=None, attempt=1, provider="spool"))
        connection.execute(insert(attempts).values(entry_id=row.id, number=1, started_at=now))
    return int(row.id)


def test_the_service_page_tells_of_ones_own_organisation(site: StaffSite, anna: Visitor, ada: str) -> None:
    site.arrive([person(number) for number in range(3)], "RX2")
    site.staff("other", "RX2")
    mine = anna.get("/staff/service").text
    assert "Example Hospital" in mine
    assert re.search(r"Will be invited</td><td class=\"number\">1<", mine)
    with site.logged_in("other") as other:
        theirs = other.get("/staff/service").text
    assert re.search(r"Will be invited</td><td class=\"number\">3<", theirs)
    assert "Lovelace" not in mine + theirs
    assert ada not in theirs


def test_a_locked_colleague_is_shown(site: StaffSite, anna: Visitor) -> None:
    site.staff("berta")
    with site.visitor() as visitor:
        for _ in range(5):
            visitor.log_in("berta", "wrong and wrong")
    assert re.search(r"<li>berta, until", anna.get("/staff/service").text)


def test_a_merged_person_leads_to_the_survivor(site: StaffSite, anna: Visitor, ada: str) -> None:
    from patient_records.tables import patient_records  # noqa: PLC0415

    [prior] = site.arrive([person(9)])
    with site.house.database.begin() as connection:
        merged = update(patient_records).where(patient_records.c.public_id == prior)
        connection.execute(merged.values(merged_into=site.record_id(ada)))
    found = anna.post("/staff/people", identifier="00000009")
    assert found.headers["location"] == f"/staff/people/{ada}"
    assert "Ada Lovelace" in anna.get(f"/staff/people/{prior}").text
    assert actions(site, ada) == ["record_viewed"]


def test_the_audit_trail_of_all_this_holds(site: StaffSite, anna: Visitor, ada: str) -> None:
    from patient_records import audit_seals  # noqa: PLC0415

    anna.post(f"/staff/people/{ada}/pair")
    site.house.audit_sealing()
    with site.house.database.read() as connection:
        report = audit_seals.verify(connection, site.house.audit.key)
    assert (report.faults, report.unsealed) == ([], 0)
    assert report.entries >= 3

"""The staff's pages of people, over HTTP: what they may do, what is written down, and what never stands anywhere."""

from __future__ import annotations

import io
import re
from datetime import UTC, datetime, timedelta

import pypdf
import pytest
from sqlalchemy import insert, update

from invites import content
from invites.accounts import links
from invites.accounts.challenge import Proven
from invites.accounts.limits import LOGINS_BY_EMAIL, WRONG_BY_RECORD
from invites.accounts.login import LoggedIn
from invites.accounts.registration import Wish
from invites.outbox import PAYLOAD
from invites.tables import access_tokens, attempts, outbox
from patient_records.instants import to_micros
from patient_records.limits import Exceeded
from patient_records.tables import sender_silences, senders
from tests.support.accounts import ADDRESS, BORN, HERE, PASSWORD
from tests.support.people import EMAIL_ONLY, SMS_ONLY, person
from tests.support.staff_site import StaffSite, Visitor

FORMS = ["unlock", "close", "pair", "letter", "split", "revoke", "decide"]


@pytest.mark.parametrize("identifier", ["9990000018", "999 000 0018", "4711", "4711^^^RX1^MR", "  4711 "])
def test_a_person_is_found_by_any_identifier_and_the_address_tells_none(
    site: StaffSite, anna: Visitor, ada: str, identifier: str
) -> None:
    found = anna.post("/staff/people", identifier=identifier)
    assert found.headers["location"] == f"/staff/people/{ada}"
    page = anna.get(found.headers["location"]).text
    for shown in ("Ada Lovelace", "10 December 1980", "9990000018", "+447700900123", "ada@example.org", "1 Long Lane"):
        assert shown in page, shown
    assert site.actions(ada) == ["record_viewed"]


def test_who_is_not_theirs_is_nobody_to_them(site: StaffSite, anna: Visitor, ada: str) -> None:
    site.staff("other", "RX2")
    with site.logged_in("other") as other:
        found = other.post("/staff/people", identifier="9990000018")
        assert "made by another organisation" in found.text
        assert "Lovelace" not in found.text
        assert other.get(f"/staff/people/{ada}").status_code == 404
        for path in FORMS:
            answer = other.post(
                f"/staff/people/{ada}/{path}", decision="opt_out", pair="all", code_by="sms", token_by="email"
            )
            assert answer.status_code == 404, path
    assert site.actions(ada) == []
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
    assert site.actions(ada)[:2] == ["letter_printed", "pair_issued"]


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
    assert "pair_refused" in site.actions(ada)


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
    assert site.actions(ada) == ["record_viewed"]


def test_the_audit_trail_of_all_this_holds(site: StaffSite, anna: Visitor, ada: str) -> None:
    from patient_records import audit_seals  # noqa: PLC0415

    anna.post(f"/staff/people/{ada}/pair")
    site.house.audit_sealing()
    with site.house.database.read() as connection:
        report = audit_seals.verify(connection, site.house.audit.key)
    assert (report.faults, report.unsealed) == ([], 0)
    assert report.entries >= 3


def test_a_lockout_is_seen_and_lifted(site: StaffSite, anna: Visitor, ada: str) -> None:
    assert "Too many wrong answers" not in anna.get(f"/staff/people/{ada}").text
    with site.house.database.begin() as connection:
        now = site.house.database.now(connection)
        site.house.limits.take(connection, WRONG_BY_RECORD, str(site.record_id(ada)), now, WRONG_BY_RECORD.most)
    assert "Too many wrong answers" in anna.get(f"/staff/people/{ada}").text
    assert anna.post(f"/staff/people/{ada}/unlock").headers["location"].endswith("said=unlocked")
    assert "Too many wrong answers" not in anna.get(f"/staff/people/{ada}").text
    assert anna.post(f"/staff/people/{ada}/unlock").headers["location"].endswith("said=already_so")
    assert site.actions(ada).count("lockout_lifted") == 1


@pytest.mark.parametrize(("reason", "said"), [("wrong_dates", "five wrong dates"), ("disowned", "this is not me")])
def test_locked_pairs_are_shown_to_their_own_organisation_for_a_month(
    site: StaffSite, anna: Visitor, ada: str, reason: str, said: str
) -> None:
    anna.post(f"/staff/people/{ada}/pair")
    assert said not in anna.get("/staff/service").text

    def lock(ago: timedelta) -> None:
        with site.house.database.begin() as connection:
            at = to_micros(site.house.database.now(connection) - ago)
            connection.execute(update(access_tokens).values(ended_at=at, end_reason=reason, wrapped_key=None))

    lock(timedelta(days=29))
    page = anna.get("/staff/service").text
    assert said in page
    assert f'href="/staff/people/{ada}"' in page
    site.staff("other", "RX2")
    with site.logged_in("other") as other:
        assert said not in other.get("/staff/service").text
    lock(timedelta(days=31))
    assert said not in anna.get("/staff/service").text


def test_a_silent_sender_is_shown_to_its_own_organisation(site: StaffSite, anna: Visitor) -> None:
    at = to_micros(datetime(2026, 3, 4, 5, 6, tzinfo=UTC))
    heard = {"daemon_id": 1, "listener": "pas", "sender": "PAS|RX1", "first_at": at, "last_at": at, "messages": 7}
    silence = {"listener": "pas", "sender": "PAS|RX1", "since": at, "expected": 3, "noticed_at": at}
    with site.house.database.begin() as connection:
        connection.execute(insert(senders).values(**heard))
        connection.execute(insert(sender_silences).values(**silence))
    page = anna.get("/staff/service").text
    assert "silent since</span> 4 March 2026" in page
    site.staff("other", "RX2")
    with site.logged_in("other") as other:
        assert "PAS|RX1" not in other.get("/staff/service").text


def with_account(site: StaffSite, public_id: str) -> None:
    """Let that person register, up to the mailed link, which is read where it lies sealed."""
    house, record_id = site.house, site.record_id(public_id)
    with house.database.begin() as connection:
        opened = house.records.load(connection, [record_id], lock=True)[record_id]
        now = house.database.now(connection)
        [made] = house.invites.mint.pairs(connection, [opened], "api", now)
        proven = house.accounts.challenge(connection, made.pair, BORN, HERE, now)
    assert isinstance(proven, Proven)
    wish = Wish(proven.token_id, proven.opened.key, ADDRESS, PASSWORD, "en", HERE)
    assert house.accounts.registration.begin(wish) is True
    [mail] = site.rows(outbox, purpose="confirm_account")
    secret = content.decode(opened.key.open(mail.sealed_payload, PAYLOAD, mail.id)).secret
    carried = links.read(secret)
    assert carried is not None
    assert house.accounts.confirmation.confirm(carried, HERE) == "now"


def test_an_account_that_wrong_passwords_closed_is_seen_and_opened_at_the_desk(
    site: StaffSite, anna: Visitor, ada: str
) -> None:
    path, login = f"/staff/people/{ada}", site.house.accounts.login
    with_account(site, ada)
    for number in range(LOGINS_BY_EMAIL.most):
        assert login.log_in(ADDRESS, "wrong and wrong", f"192.0.2.{number}") == "wrong"
    assert isinstance(login.log_in(ADDRESS, PASSWORD, "198.51.100.1"), Exceeded)
    page = anna.get(path).text
    assert "Too many wrong passwords" in page
    assert ADDRESS not in page
    assert anna.post(f"{path}/unlock").headers["location"].endswith("said=unlocked")
    assert "Too many wrong passwords" not in anna.get(path).text
    assert isinstance(login.log_in(ADDRESS, PASSWORD, "198.51.100.1"), LoggedIn)
    assert site.actions(ada).count("lockout_lifted") == 1


def test_an_account_is_closed_at_the_desk_and_the_person_may_register_anew(
    site: StaffSite, anna: Visitor, ada: str
) -> None:
    path = f"/staff/people/{ada}"
    assert "Close the account" not in anna.get(path).text
    with_account(site, ada)
    assert "Close the account" in anna.get(path).text
    assert "has an account already" in anna.post(f"{path}/pair").text
    assert anna.post(f"{path}/close").headers["location"].endswith("said=closed")
    assert site.standing(ada).registered_at is None
    assert site.house.accounts.login.log_in(ADDRESS, PASSWORD, HERE) == "wrong"
    assert "Close the account" not in anna.get(path).text
    assert anna.post(f"{path}/close").headers["location"].endswith("said=already_so")
    assert site.actions(ada).count("account_closed") == 1
    assert len(re.findall(r"<dd>([2-9B-Z]{5} [2-9B-Z]{5})</dd>", anna.post(f"{path}/pair").text)) == 2

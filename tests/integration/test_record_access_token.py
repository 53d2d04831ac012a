"""SPEC 7's table, row by row, over a real socket and on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from invites.access_token import AccessToken, lookup, parse, unwrap
from invites.channels.channel import EMAIL
from patient_records.errors import StorageUnavailable
from patient_records.model import BirthDate, Identifier, Standing
from tests.support.api import ApiService
from tests.support.people import DEAD, EMAIL_ONLY, House, PlainChannel, ScriptedProvider, person
from web.access import clients
from web.access.clients import Scope

NOW = datetime(2026, 3, 4, tzinfo=UTC)
NHS = Identifier("NHS", "NH", "9434765919")


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def api(house: House) -> Iterator[ApiService]:
    with ApiService(house) as service:
        yield service


def path(public_id: str) -> str:
    return f"/v1/users/{public_id}/recordAccessToken"


def of(api: ApiService, record_id: int) -> str:
    return path(api.public_id(record_id))


def assert_opens(house: House, body: dict[str, Any], record_id: int) -> None:
    pair = parse(body["invitationCode"], body["token"])
    assert isinstance(pair, AccessToken)
    pepper = house.ring.pepper(house.ring.pepper_id)
    [row] = [row for row in house.rows("access_tokens") if row["lookup"] == lookup(pair.code, pepper)]
    with house.database.read() as connection:
        key = house.records.load(connection, [record_id])[record_id].key.raw
    wrapped, salt, id_ = row["wrapped_key"], row["salt"], row["id"]
    assert isinstance(wrapped, bytes)
    assert isinstance(salt, bytes)
    assert isinstance(id_, int)
    assert unwrap(wrapped, pair, pepper, salt, id_) == key


def assert_error(answer: httpx.Response, status: int, code: str) -> None:
    """The exact shape of SPEC 7."""
    sentence = answer.json()["errorMessage"]
    assert answer.status_code == status, answer.text
    assert answer.json() == {
        "statusCode": status,
        "errorMessage": sentence,
        "developerMessage": None,
        "errorDetails": [{"errorCode": code, "messages": [sentence]}],
    }
    assert sentence
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status in {401, 403})


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("scope", [Scope.SYSTEM, Scope.COORDINATOR])
def test_a_pair_and_exactly_that(api: ApiService, house: House, method: str, scope: Scope) -> None:
    [id_] = house.arrive([person()])
    answer = api.caller(scope=scope)(method, of(api, id_))
    assert answer.status_code == 200
    assert list(answer.json()) == ["invitationCode", "token", "status"]
    assert answer.json()["status"] == "NOT_INVITED_NOT_REGISTERED"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"
    assert_opens(house, answer.json(), id_)


def test_invited_is_only_who_was_really_sent_an_email(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person(home=EMAIL_ONLY)])
    call = api.caller()

    def status() -> str:
        return str(call("POST", of(api, id_)).json()["status"])

    assert status() == "NOT_INVITED_NOT_REGISTERED"
    assert status() == "NOT_INVITED_NOT_REGISTERED", "pairs alone do not count"
    house.issue.run()
    assert status() == "NOT_INVITED_NOT_REGISTERED", "it waits in the outbox"
    house.lane(ScriptedProvider(), PlainChannel(EMAIL)).run()
    assert status() == "INVITED_NOT_REGISTERED"


def test_older_pairs_live_on(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    call = api.caller()
    bodies = [call("POST", of(api, id_)).json() for _ in range(3)]
    assert len({body["invitationCode"] for body in bodies}) == 3
    for body in bodies:
        assert_opens(house, body, id_)


def test_calls_at_once_each_get_a_good_pair(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    call, where = api.caller(), of(api, id_)
    start, answers = threading.Barrier(8), list[httpx.Response]()

    def come() -> None:
        start.wait()
        answers.append(call("POST", where))

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.json()["invitationCode"] for answer in answers}) == 8
    for answer in answers:
        assert_opens(house, answer.json(), id_)


def test_registration_completed_is_exactly_this_body(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    house.change(id_, standing=Standing(registered_at=NOW))
    answer = api.caller()("POST", of(api, id_))
    assert answer.status_code == 400
    assert answer.json() == {
        "statusCode": 400,
        "errorMessage": "Registration already completed",
        "developerMessage": None,
        "errorDetails": [{"errorCode": "invitation.patient.status", "messages": ["Registration already completed"]}],
    }


TABLE: dict[str, tuple[dict[str, Any], dict[str, Any], int, str]] = {
    "no date of birth": ({"birth": None}, {}, 400, "invitation.patient.dateOfBirth"),
    "deceased": ({"death": DEAD}, {}, 400, "invitation.patient.deceased"),
    "under age": ({"birth": BirthDate("20200101")}, {}, 400, "invitation.patient.age"),
    "held": ({}, {"hold": "by hand"}, 400, "invitation.patient.excluded"),
    "opted out": ({}, {"opted_out_at": NOW}, 400, "invitation.patient.excluded"),
    "excluded": ({}, {"exclusion": "by hand"}, 400, "invitation.patient.excluded"),
    "deleted": ({}, {"deleted_at": NOW}, 404, "user.notFound"),
}


@pytest.mark.parametrize("case", TABLE)
def test_the_table_of_refusals(api: ApiService, house: House, case: str) -> None:
    demographics, standing, status, code = TABLE[case]
    [id_] = house.arrive([person()])
    call = api.caller()
    assert call("POST", of(api, id_)).status_code == 200, "nothing else was in the way"
    house.change(id_, standing=Standing(**standing), **demographics)
    assert_error(call("POST", of(api, id_)), status, code)
    assert len(house.rows("access_tokens")) == 1


def test_a_record_made_by_another_organisation(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person(birth=None)], organisation="RX2")
    assert_error(api.caller("RX1")("POST", of(api, id_)), 401, "invitation.patient.organisation")
    assert_error(api.caller("RX2")("POST", of(api, id_)), 400, "invitation.patient.dateOfBirth")


@pytest.mark.parametrize("id_", ["0" * 32, "1", "x" * 32, "%00", "A" * 32, "0" * 31 + "\u0660"])
def test_an_unknown_id(api: ApiService, id_: str) -> None:
    assert_error(api.caller()("POST", path(id_)), 404, "user.notFound")


def test_a_merged_id_answers_for_its_survivor(api: ApiService, house: House) -> None:
    survivor, merged = house.arrive([person(1), person(2)])
    house.change(merged, standing=Standing(merged_into=survivor))
    call = api.caller()
    assert_opens(house, call("POST", of(api, merged)).json(), survivor)
    house.change(survivor, standing=Standing(registered_at=NOW))
    assert_error(call("POST", of(api, merged)), 400, "invitation.patient.status")


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("authorization", "Bearer")],
        [("authorization", "Bearer dsb_unknown")],
        [("authorization", "Basic eDp5")],
        [("authorization", "Bearer " + "x" * 5000)],
    ],
    ids=["none", "empty", "unknown", "another scheme", "endless"],
)
def test_no_good_bearer(api: ApiService, house: House, headers: list[tuple[str, str]]) -> None:
    [id_] = house.arrive([person()])
    assert_error(api.http.post(of(api, id_), headers=headers), 401, "auth.token")


def test_a_bearer_in_the_url_is_none(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    bearer = api.bearer(api.client())
    assert_error(api.http.post(of(api, id_), params={"access_token": bearer}), 401, "auth.token")


def test_two_bearers_are_none(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    headers = [("authorization", f"Bearer {api.bearer(api.client())}")] * 2
    assert_error(api.http.post(of(api, id_), headers=headers), 401, "auth.token")


def test_expired_and_revoked_bearers(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    made = api.client()
    bearer = {"authorization": f"Bearer {api.bearer(made)}"}
    assert api.http.post(of(api, id_), headers=bearer).status_code == 200
    with house.database.begin() as connection:
        clients.revoke(connection, made.client, house.database.now(connection))
    assert_error(api.http.post(of(api, id_), headers=bearer), 401, "auth.token")
    call = api.caller()
    house.later(timedelta(seconds=600))
    assert_error(call("POST", of(api, id_)), 401, "auth.token")


def test_who_may_only_ask_gets_no_pair(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    assert_error(api.caller(scope=Scope.STATUS)("POST", of(api, id_)), 403, "auth.scope")
    assert house.rows("access_tokens") == []


def test_so_many_calls_a_minute_and_then_429(house: House) -> None:
    with ApiService(house, most=3) as api:
        [id_] = house.arrive([person()])
        call, other = api.caller(), api.caller()
        assert [call("POST", of(api, id_)).status_code for _ in range(3)] == [200] * 3
        answer = call("POST", of(api, id_))
        assert_error(answer, 429, "rate.limit")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert len(house.rows("access_tokens")) == 3
        assert other("POST", of(api, id_)).status_code == 200, "each client has its own window"
        house.later(timedelta(seconds=61))
        assert call("POST", of(api, id_)).status_code == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_no_other_method_issues_anything(api: ApiService, house: House, method: str) -> None:
    """Starlette gives every GET route a HEAD, which would issue pairs that nobody sees."""
    [id_] = house.arrive([person()])
    answer = api.caller()(method, of(api, id_))
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, POST"
    assert house.rows("access_tokens") == []


def test_storage_that_fails_is_503_and_says_nothing_of_it(
    api: ApiService, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id_] = house.arrive([person()])
    call, where = api.caller(), of(api, id_)

    def fail() -> None:
        raise StorageUnavailable("disk full, says the driver")

    monkeypatch.setattr(house.database, "begin", fail)
    answer = call("POST", where)
    assert_error(answer, 503, "service.unavailable")
    assert "disk" not in answer.text
    assert answer.headers["retry-after"]


def test_a_fault_of_ours_is_500_and_says_nothing_of_it(
    api: ApiService, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    [id_] = house.arrive([person()])
    call, where = api.caller(), of(api, id_)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("Lovelace, Ada")

    monkeypatch.setattr(type(house.invites.on_request), "issue", fail)
    answer = call("POST", where)
    assert_error(answer, 500, "service.error")
    assert "Ada" not in answer.text
    assert [type(error) for error in api.told.failures] == [RuntimeError]


def test_a_record_that_does_not_open_is_our_fault_too(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    where = of(api, id_)
    with house.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE patient_records SET version = version + 1 WHERE id = {id_}")
    assert_error(api.caller()("POST", where), 500, "service.record")


def test_telemetry_hears_templates_and_never_what_was_called(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person(identifiers=(NHS,))])
    call = api.caller()
    call("POST", of(api, id_))
    call("GET", f"/v1/users/byNationalId/{NHS.value}/NHS_NUMBER")
    routes = [(route, method, status) for route, method, status, _ in api.told.answers]
    assert routes == [
        ("/oauth/token", "POST", 200),
        ("/v1/users/{id}/recordAccessToken", "POST", 200),
        ("/v1/users/byNationalId/{number}/{type}", "GET", 200),
    ]
    assert NHS.value not in repr(api.told.answers)


# --- byNationalId


def by_number(number: str, kind: str = "NHS_NUMBER") -> str:
    return f"/v1/users/byNationalId/{number}/{kind}"


def test_a_national_number_finds_the_public_id(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person(identifiers=(NHS,))])
    for scope in Scope:
        answer = api.caller(scope=scope)("GET", by_number(NHS.value))
        assert (answer.status_code, answer.json()) == (200, {"id": api.public_id(id_)})
        assert answer.headers["cache-control"] == "no-store"
    assert api.caller()("POST", path(answer.json()["id"])).status_code == 200


def test_a_number_that_nobody_has_and_one_that_is_none(api: ApiService) -> None:
    call = api.caller()
    assert_error(call("GET", by_number("9434765919")), 404, "user.notFound")
    for wrong in ("9434765918", "943476591", "94347659190", "943%20476%205919", "9434765919%0a"):
        assert_error(call("GET", by_number(wrong)), 400, "request.nationalId")
    assert_error(call("GET", by_number("9434765919", "CHI")), 400, "request.nationalIdType")


def test_another_organisation_s_a_merged_one_s_and_a_deleted_one_s_number(api: ApiService, house: House) -> None:
    prior, survivor = house.arrive([person(1, identifiers=(NHS,)), person(2)])
    assert_error(api.caller("RX2")("GET", by_number(NHS.value)), 401, "invitation.patient.organisation")
    house.change(prior, standing=Standing(merged_into=survivor))
    assert api.caller()("GET", by_number(NHS.value)).json() == {"id": api.public_id(survivor)}
    house.change(survivor, standing=Standing(deleted_at=NOW))
    assert_error(api.caller()("GET", by_number(NHS.value)), 404, "user.notFound")


def test_no_bearer_no_number(api: ApiService) -> None:
    assert_error(api.http.get(by_number(NHS.value)), 401, "auth.token")


def test_what_is_nowhere_is_told_in_the_same_shape(api: ApiService) -> None:
    for nowhere in ("/", "/v1", "/v1/users/9434765919", "/v1/users/x/recordAccessToken/", "/oauth/token/"):
        answer = api.http.get(nowhere)
        assert_error(answer, 404, "request.path")
        assert "9434765919" not in answer.text


# --- the audit trail


def test_every_pair_and_every_refusal_is_in_the_audit_trail(api: ApiService, house: House) -> None:
    adult, dead = house.arrive([person(1, identifiers=(NHS,)), person(2, death=DEAD)])
    made = api.client()
    headers = {"authorization": f"Bearer {api.bearer(made)}"}
    api.http.post(of(api, adult), headers=headers)
    api.http.post(of(api, dead), headers=headers)
    api.http.post(path("0" * 32), headers=headers)
    api.http.get(by_number(NHS.value), headers=headers)
    api.http.get(by_number("9434765870"), headers=headers)
    client = made.client.client_id
    [row] = house.rows("access_tokens")
    said = {"client": client, "origin": "api"}
    who = (f"system_client {client}", "RX1")
    assert api.audited() == [
        ("bearer_issued", *who, None, {"client": client}),
        ("pair_issued", *who, adult, {**said, "pair": row["id"]}),
        ("pair_refused", *who, dead, {**said, "reason": "invitation.patient.deceased"}),
        ("pair_refused", *who, None, {**said, "reason": "user.notFound"}),
        ("record_found", *who, adult, {"client": client}),
        ("record_not_found", *who, None, {"client": client, "reason": "user.notFound"}),
    ]


def test_a_personal_client_acts_as_its_coordinator(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    made = api.client(scope=Scope.COORDINATOR, staff_id=7)
    api.http.post(of(api, id_), headers={"authorization": f"Bearer {api.bearer(made)}"})
    assert [(action, actor) for action, actor, *_ in api.audited()] == [
        ("bearer_issued", "coordinator 7"),
        ("pair_issued", "coordinator 7"),
    ]

"""``POST /oauth/token`` over a real socket, on both databases: RFC 6749, 4.4 and 5."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest

from tests.support.api import ApiService
from tests.support.people import House, person
from web.access import bearers, clients
from web.access.clients import Clients, NewClient, Scope
from web.api.fhir_parameters import NHS_NUMBER
from web.body import read_body

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def api(house: House) -> Iterator[ApiService]:
    with ApiService(house) as service:
        yield service


def basic(made: NewClient) -> tuple[str, str]:
    return made.client.client_id, made.secret


def in_form(made: NewClient) -> dict[str, str]:
    return {"client_id": made.client.client_id, "client_secret": made.secret}


def assert_error(answer: httpx.Response, status: int, error: str) -> None:
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == "application/json"


def test_a_bearer_by_basic_and_by_form(api: ApiService) -> None:
    made = api.client()
    for answer in (api.ask_bearer(GRANT, auth=basic(made)), api.ask_bearer(GRANT | in_form(made))):
        assert answer.status_code == 200
        body = answer.json()
        bearer = body.pop("access_token")
        assert body == {"token_type": "Bearer", "expires_in": 600, "scope": "system"}
        assert re.fullmatch(r"dsb_[A-Za-z0-9_-]{43}", bearer)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["pragma"] == "no-cache"
        assert "no-store" in answer.headers["cache-control"]


def test_basic_may_be_encoded_as_in_a_form_first(api: ApiService) -> None:
    made = api.client()
    coded = base64.b64encode(f"{made.client.client_id}:{made.secret.replace('_', '%5F')}".encode()).decode()
    assert api.ask_bearer(GRANT, headers={"authorization": f"basic {coded}"}).status_code == 200


def test_neither_secret_nor_bearer_is_in_the_database(api: ApiService, house: House) -> None:
    made = api.client()
    bearer = api.bearer(made)
    with house.database.read() as connection:
        rows = [connection.exec_driver_sql(f"SELECT * FROM {table}").all() for table in ("api_clients", "bearers")]
    assert len(rows[1]) == 1
    for secret in (made.secret, bearer, made.secret[4:], bearer[4:]):
        assert secret not in repr(rows)
    assert made.secret not in repr(made)


def test_a_wrong_secret_an_unknown_client_and_a_revoked_one_are_one_answer(api: ApiService, house: House) -> None:
    made, other = api.client(), api.client()
    revoked = api.client()
    with house.database.begin() as connection:
        clients.revoke(connection, revoked.client, house.database.now(connection))
    given = [
        (made.client.client_id, other.secret),
        ("nobody", made.secret),
        basic(revoked),
        (made.client.client_id, ""),
    ]
    answers = [api.ask_bearer(GRANT, auth=one) for one in given]
    for answer in answers:
        assert_error(answer, 401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic ")
    assert len({answer.content for answer in answers}) == 1


def test_no_credentials_at_all(api: ApiService) -> None:
    answer = api.ask_bearer(GRANT)
    assert_error(answer, 401, "invalid_client")
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_credentials_in_both_places_are_refused_even_when_both_are_right(api: ApiService) -> None:
    made = api.client()
    assert_error(api.ask_bearer(GRANT | in_form(made), auth=basic(made)), 400, "invalid_request")
    only_id = {"client_id": made.client.client_id}
    assert_error(api.ask_bearer(GRANT | only_id, auth=basic(made)), 400, "invalid_request")


@pytest.mark.parametrize("header", ["Basic", "Basic !", "Basic bm9jb2xvbg==", "Bearer abc", "Basic /w=="])
def test_a_header_that_is_no_basic_credentials(api: ApiService, header: str) -> None:
    assert_error(api.ask_bearer(GRANT, headers={"authorization": header}), 401, "invalid_client")


def test_two_authorization_headers_are_none(api: ApiService) -> None:
    made = api.client()
    coded = base64.b64encode(":".join(basic(made)).encode()).decode()
    headers = [("authorization", f"Basic {coded}")] * 2
    answer = api.http.post("/oauth/token", data=GRANT, headers=headers)
    assert_error(answer, 401, "invalid_client")


@pytest.mark.parametrize("grant", ["password", "authorization_code", "Client_Credentials"])
def test_another_grant(api: ApiService, grant: str) -> None:
    made = api.client()
    assert_error(api.ask_bearer({"grant_type": grant}, auth=basic(made)), 400, "unsupported_grant_type")


def test_no_grant_an_empty_one_and_one_twice(api: ApiService) -> None:
    auth = basic(api.client())
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body in (
        "",
        "grant_type=",
        "scope=system",
        "grant_type=client_credentials&grant_type=client_credentials",
        "%ff",
    ):
        answer = api.http.post("/oauth/token", content=body, headers=form, auth=auth)
        assert_error(answer, 400, "invalid_request")


def test_what_the_rfc_does_not_know_is_ignored(api: ApiService) -> None:
    assert api.ask_bearer(GRANT | {"audience": "x"}, auth=basic(api.client())).status_code == 200


def test_the_scope_is_the_client_s_own(api: ApiService) -> None:
    made = api.client(scope=Scope.STATUS)
    for form in (GRANT, GRANT | {"scope": "status"}, GRANT | {"scope": ""}):
        assert api.ask_bearer(form, auth=basic(made)).json()["scope"] == "status"
    assert_error(api.ask_bearer(GRANT | {"scope": "system"}, auth=basic(made)), 400, "invalid_scope")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_only_post(api: ApiService, method: str) -> None:
    answer = api.http.request(method, "/oauth/token", params=GRANT)
    assert answer.status_code == 405
    assert answer.headers["allow"] == "POST"


def test_only_forms_and_only_small_ones(api: ApiService) -> None:
    auth = basic(api.client())
    assert_error(api.http.post("/oauth/token", json=GRANT, auth=auth), 415, "invalid_request")
    assert_error(api.ask_bearer(GRANT | {"padding": "x" * 20_000}, auth=auth), 413, "invalid_request")


def test_so_many_bearers_a_minute_and_then_429(house: House) -> None:
    with ApiService(house, bearers=2) as api:
        made, other = api.client(), api.client()
        for _ in range(2):
            api.bearer(made)
        answer = api.ask_bearer(GRANT, auth=basic(made))
        assert_error(answer, 429, "slow_down")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        api.bearer(other)
        house.later(timedelta(seconds=61))
        api.bearer(made)


def test_a_bearer_lives_600_seconds(api: ApiService, house: House) -> None:
    [id_] = house.arrive([person()])
    path, bearer = f"/v1/users/{api.public_id(id_)}/recordAccessToken", api.bearer(api.client())

    def status() -> int:
        return api.http.post(path, headers={"authorization": f"Bearer {bearer}"}).status_code

    assert status() == 200
    house.later(timedelta(seconds=590))
    assert status() == 200
    house.later(timedelta(seconds=10))
    assert status() == 401


def test_revoking_a_client_ends_its_bearers_at_once_and_nobody_else_s(api: ApiService, house: House) -> None:
    made, other = api.client(), api.client()
    bearer, others = api.bearer(made), api.bearer(other)
    with house.database.begin() as connection:
        now = house.database.now(connection)
        clients.revoke(connection, made.client, now)
        assert bearers.holder(connection, bearer, now) is None
        assert bearers.holder(connection, others, now) == clients.find(connection, other.client.client_id)


def test_a_bearer_that_was_made_while_its_client_was_revoked_is_none(api: ApiService, house: House) -> None:
    made = api.client()
    with house.database.begin() as connection:
        now = house.database.now(connection)
        clients.revoke(connection, made.client, now)
        late = bearers.issue(connection, made.client, os.urandom, now)
        assert bearers.holder(connection, late, now) is None


def test_a_staff_account_s_personal_clients_end_with_it(house: House) -> None:
    with house.database.begin() as connection:
        now = house.database.now(connection)
        maker = Clients(house.ids, os.urandom)
        mine = maker.add(connection, "Mine", "RX1", Scope.COORDINATOR, now, staff_id=7)
        hers = maker.add(connection, "Hers", "RX1", Scope.COORDINATOR, now, staff_id=8)
        text = bearers.issue(connection, mine.client, os.urandom, now)
        assert [client.client_id for client in clients.of_staff(connection, 7)] == [mine.client.client_id]
        clients.revoke_of_staff(connection, 7, now)
        assert bearers.holder(connection, text, now) is None
        assert clients.authenticate(connection, mine.client.client_id, mine.secret) is None
        assert clients.authenticate(connection, hers.client.client_id, hers.secret) is not None


def test_expired_bearers_are_swept_and_no_others(house: House) -> None:
    with house.database.begin() as connection:
        now = house.database.now(connection)
        made = Clients(house.ids, os.urandom).add(connection, "A", "RX1", Scope.SYSTEM, now)
        bearers.issue(connection, made.client, os.urandom, now - bearers.LIFETIME)
        good = bearers.issue(connection, made.client, os.urandom, now)
        assert bearers.any_over(connection, now)
        assert bearers.sweep(connection, now) == 1
        assert not bearers.any_over(connection, now)
        assert bearers.holder(connection, good, now) is not None


def test_wrong_secrets_are_in_the_audit_trail_and_cannot_fill_it(api: ApiService) -> None:
    made = api.client()
    for _ in range(15):
        assert_error(api.ask_bearer(GRANT, auth=(made.client.client_id, "wrong")), 401, "invalid_client")
    assert_error(api.ask_bearer(GRANT, auth=("nobody", "wrong")), 401, "invalid_client")
    told = [action for action, *_ in api.audited()]
    assert told == ["bearer_refused"] * 10
    api.bearer(made)  # and the right secret is good all the time


def test_a_client_that_is_revoked_while_its_body_comes_gets_nothing(
    api: ApiService, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was admitted before the body, and a body has ten seconds."""
    made = api.client()
    bearer, read = api.bearer(made), read_body

    async def slowly(*given: Any) -> bytes:
        with house.database.begin() as connection:
            clients.revoke(connection, made.client, house.database.now(connection))
        return await read(*given)

    monkeypatch.setattr("web.api.entrance.read_body", slowly)
    who = {"name": "patientIdentifier", "valueIdentifier": {"system": NHS_NUMBER, "value": "9434765919"}}
    body = msgspec.json.encode({"resourceType": "Parameters", "parameter": [who]})
    headers = {"authorization": f"Bearer {bearer}", "content-type": "application/fhir+json"}
    for path in ("/fhir/Patient/$status-query", "/fhir/Organization/$generate-invitation-tokens"):
        assert api.http.post(path, content=body, headers=headers).status_code == 401
    assert {action for action, *_ in api.audited()} <= {"bearer_issued"}


def test_an_id_that_no_database_takes_is_an_unknown_client(api: ApiService) -> None:
    for client_id in ("dsc_\0", "dsc_\u00e9"):
        asked = api.ask_bearer(GRANT | {"client_id": client_id, "client_secret": "dss_x"})
        assert_error(asked, 401, "invalid_client")
    assert api.told.failures == []

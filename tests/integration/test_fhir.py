"""The two FHIR operations of SPEC 7, over a real socket and on both databases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from invites.access_token import AccessToken, lookup, parse
from invites.channels.channel import EMAIL
from patient_records.model import Identifier, Standing
from tests.support.api import FHIR, ApiService
from tests.support.people import DEAD, EMAIL_ONLY, House, PlainChannel, ScriptedProvider, person
from web.access.clients import Scope

NOW = datetime(2026, 3, 4, tzinfo=UTC)
GENERATE = "/fhir/Organization/$generate-invitation-tokens"
STATUS = "/fhir/Patient/$status-query"
NHS = "https://fhir.nhs.uk/Id/nhs-number"
LOCAL = "https://hospital.example/mrn"


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def api(house: House) -> Iterator[ApiService]:
    with ApiService(house, systems={LOCAL: ("RX1", "MR")}) as service:
        yield service


def nhs_number(serial: int) -> str:
    """An NHS number with its check digit (modulus 11); serials whose check digit would be 10 do not occur here."""
    body = f"9{serial:08}"
    check = (11 - sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), body, strict=True)) % 11) % 11
    return f"{body}{check}" if check < 10 else nhs_number(serial + 10_000_000)


def numbered(serial: int, **given: Any) -> Any:
    return person(identifiers=(Identifier("NHS", "NH", nhs_number(serial)),), **given)


def asked(*values: str, system: str = NHS) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patientIdentifier", "valueIdentifier": {"system": system, "value": value}} for value in values
        ],
    }


def parts(parameter: dict[str, Any]) -> dict[str, Any]:
    """The parts of one answer by name, each with its one value."""
    return {part["name"]: next(value for key, value in part.items() if key != "name") for part in parameter["part"]}


def assert_outcome(answer: httpx.Response, status: int, kind: str, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == FHIR
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    [issue] = body["issue"]
    assert (issue["severity"], issue["code"]) == ("error", kind)
    assert issue["details"]["coding"] == [{"system": "urn:doorstep:error", "code": code}]
    assert issue["details"]["text"]
    found: dict[str, Any] = issue
    return found


def test_pairs_with_their_expiry_and_refusals_in_the_order_asked(api: ApiService, house: House) -> None:
    first, dead, other = house.arrive([numbered(1), numbered(2, death=DEAD), numbered(3)])
    foreign = house.arrive([numbered(4)], organisation="RX2")
    house.change(other, standing=Standing(registered_at=NOW))
    assert foreign
    values = [nhs_number(serial) for serial in (2, 1, 3, 4, 5)] + ["9999999999"]
    answer = api.caller()("POST", GENERATE, json=asked(*values), headers={"content-type": FHIR})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == FHIR
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["resourceType"] == "Parameters"
    told = [(one["name"], parts(one)) for one in body["parameter"]]
    assert [(name, given["patientIdentifier"]["value"]) for name, given in told] == [
        ("refused", values[0]),
        ("patientTokens", values[1]),
        *(("refused", value) for value in values[2:]),
    ]
    assert [given["reason"] for name, given in told if name == "refused"] == [
        "invitation.patient.deceased",
        "invitation.patient.status",
        "invitation.patient.organisation",
        "user.notFound",
        "user.notFound",
    ]
    issued = told[1][1]
    assert set(issued) == {"patientIdentifier", "code", "token", "expiry"}
    assert issued["patientIdentifier"] == {"system": NHS, "value": values[1]}
    pair = parse(issued["code"], issued["token"])
    assert isinstance(pair, AccessToken)
    [row] = house.rows("access_tokens")
    assert row["lookup"] == lookup(pair.code, house.ring.pepper(house.ring.pepper_id))
    assert row["record_id"] == first
    lives = datetime.fromisoformat(issued["expiry"]) - datetime.now(UTC)
    assert timedelta(0) <= house.options.lifetime - lives < timedelta(minutes=2)
    actions = [(action, record) for action, _, _, record, _ in api.audited()][1:]
    assert actions[:2] == [("pair_refused", dead), ("pair_issued", first)]
    assert len(actions) == 6
    keys = {key for one in body["parameter"] for part in one["part"] for key in part}
    assert keys == {"name", "valueIdentifier", "valueString", "valueCode", "valueDateTime"}


def test_five_hundred_in_one_transaction_and_five_hundred_and_one_refused(api: ApiService, house: House) -> None:
    house.arrive([numbered(serial) for serial in range(500)])
    values = [nhs_number(serial) for serial in range(500)]
    call = api.caller()
    body = call("POST", GENERATE, json=asked(*values)).json()
    assert [one["name"] for one in body["parameter"]] == ["patientTokens"] * 500
    assert len({parts(one)["code"] for one in body["parameter"]}) == 500
    assert [parts(one)["patientIdentifier"]["value"] for one in body["parameter"]] == values
    assert len(house.rows("access_tokens")) == 500
    assert_outcome(call("POST", GENERATE, json=asked(*values, "x")), 400, "structure", "request.body")
    assert len(house.rows("access_tokens")) == 500


def test_an_unknown_system_fails_the_whole_request_and_says_where(api: ApiService, house: House) -> None:
    house.arrive([numbered(1)])
    body = asked(nhs_number(1))
    body["parameter"].append(asked("7", system="urn:nobody")["parameter"][0])
    for path in (GENERATE, STATUS):
        issue = assert_outcome(api.caller()("POST", path, json=body), 400, "not-supported", "request.system")
        assert issue["expression"] == ["Parameters.parameter[1].valueIdentifier.system"]
        assert "urn:nobody" not in str(issue)
    assert house.rows("access_tokens") == []


def test_a_configured_system_finds_local_numbers_of_the_caller_s_organisation(api: ApiService, house: House) -> None:
    house.arrive([person(identifiers=(Identifier("RX1", "MR", "A7", "RX1"),))])
    house.arrive([person(identifiers=(Identifier("RX1", "MR", "A7", "RX2"),))], organisation="RX2")
    for organisation in ("RX1", "RX2"):
        body = api.caller(organisation)("POST", GENERATE, json=asked(" a7 ", system=LOCAL)).json()
        assert [one["name"] for one in body["parameter"]] == ["patientTokens"]
    assert [row["organisation"] for row in house.rows("access_tokens")] == ["RX1", "RX2"]


def test_a_number_with_blanks_and_a_person_asked_for_twice(api: ApiService, house: House) -> None:
    house.arrive([numbered(1)])
    number = nhs_number(1)
    body = api.caller()("POST", GENERATE, json=asked(number, f"{number[:3]} {number[3:6]}-{number[6:]}")).json()
    codes = [parts(one)["code"] for one in body["parameter"]]
    assert len(set(codes)) == 2


def test_extensions_and_ids_are_ignored(api: ApiService, house: House) -> None:
    house.arrive([numbered(1)])
    body = asked(nhs_number(1)) | {"id": "x", "meta": {"profile": ["y"]}}
    body["parameter"][0]["valueIdentifier"] |= {"use": "official", "type": {"text": "NHS"}}
    body["parameter"][0]["extension"] = [{"url": "u", "valueString": "v"}]
    assert api.caller()("POST", GENERATE, json=body).status_code == 200


WRONG: dict[str, Any] = {
    "no list": {"resourceType": "Parameters"},
    "an empty list": {"resourceType": "Parameters", "parameter": []},
    "another resource": asked("1") | {"resourceType": "Bundle"},
    "another parameter": {"resourceType": "Parameters", "parameter": [{"name": "patient", "valueString": "x"}]},
    "no value": {
        "resourceType": "Parameters",
        "parameter": [{"name": "patientIdentifier", "valueIdentifier": {"system": NHS}}],
    },
    "an empty value": asked(""),
    "a number": {
        "resourceType": "Parameters",
        "parameter": [{"name": "patientIdentifier", "valueIdentifier": {"system": NHS, "value": 9434765919}}],
    },
    "a list": [],
    "nothing": None,
}


@pytest.mark.parametrize("path", [GENERATE, STATUS])
@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_as_described(api: ApiService, path: str, case: str) -> None:
    body = json.dumps(WRONG[case])
    answer = api.caller()("POST", path, content=body, headers={"content-type": FHIR})
    assert_outcome(answer, 400, "structure", "request.body")


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"9434765919", b'{"resourceType": "Lovelace"}'])
def test_what_is_no_json_and_nothing_of_it_is_repeated(api: ApiService, body: bytes) -> None:
    answer = api.caller()("POST", GENERATE, content=body, headers={"content-type": FHIR})
    assert_outcome(answer, 400, "structure", "request.body")
    assert "9434765919" not in answer.text
    assert "Lovelace" not in answer.text


def test_content_types_and_sizes(api: ApiService, house: House) -> None:
    house.arrive([numbered(1)])
    call, body = api.caller(), asked(nhs_number(1))
    for good in ("application/json", FHIR, f"{FHIR}; charset=utf-8", f"{FHIR}; charset=UTF-8; fhirVersion=4.0"):
        assert call("POST", GENERATE, json=body, headers={"content-type": good}).status_code == 200, good
    for bad in ("text/plain", "application/fhir+xml", f"{FHIR}; charset=latin-1", ""):
        wrong = call("POST", GENERATE, json=body, headers={"content-type": bad})
        assert_outcome(wrong, 415, "not-supported", "request.type")
    headers = {"content-type": FHIR}
    large = call("POST", GENERATE, content=b" " * (1 << 20) + b"{}", headers=headers)
    assert_outcome(large, 413, "too-long", "request.size")
    chunks = (b" " * 65536 for _ in range(17))
    unsaid = call("POST", GENERATE, content=chunks, headers=headers)
    assert_outcome(unsaid, 413, "too-long", "request.size")


def test_who_may_not(api: ApiService, house: House) -> None:
    house.arrive([numbered(1)])
    body = asked(nhs_number(1))
    answer = api.http.post(GENERATE, json=body)
    assert_outcome(answer, 401, "login", "auth.token")
    assert answer.headers["www-authenticate"].startswith("Bearer ")
    assert_outcome(api.caller(scope=Scope.STATUS)("POST", GENERATE, json=body), 403, "forbidden", "auth.scope")
    assert house.rows("access_tokens") == []
    assert api.caller(scope=Scope.STATUS)("POST", STATUS, json=body).status_code == 200
    wrong = api.caller()("GET", GENERATE)
    assert_outcome(wrong, 405, "not-supported", "request.method")
    assert wrong.headers["allow"] == "POST"


def test_too_many_is_an_outcome_too(house: House) -> None:
    with ApiService(house, most=1) as api:
        call = api.caller()
        assert call("POST", STATUS, json=asked("1")).status_code == 200
        answer = call("POST", STATUS, json=asked("1"))
        assert_outcome(answer, 429, "throttled", "rate.limit")
        assert answer.headers["retry-after"]


def test_how_people_stand(api: ApiService, house: House) -> None:
    plain, dead, registered, emailed = house.arrive(
        [numbered(1, home=()), numbered(2, death=DEAD), numbered(3), numbered(4, home=EMAIL_ONLY, addresses=())]
    )
    house.arrive([numbered(5)], organisation="RX2")
    house.change(registered, standing=Standing(registered_at=NOW))
    house.issue.run()
    house.lane(ScriptedProvider(), PlainChannel(EMAIL)).run()
    before = len(house.rows("access_tokens"))
    values = [nhs_number(serial) for serial in range(1, 7)]
    answer = api.caller(scope=Scope.STATUS)("POST", STATUS, json=asked(*values))
    assert answer.status_code == 200
    body = answer.json()
    assert [one["name"] for one in body["parameter"]] == ["patientStatus"] * 6
    told = [parts(one) for one in body["parameter"]]
    assert [one.pop("patientIdentifier")["value"] for one in told] == values
    known = {"registered": False, "deceased": False, "status": "NOT_INVITED_NOT_REGISTERED"}
    assert told == [
        known,
        known | {"deceased": True, "reason": "invitation.patient.deceased"},
        known | {"registered": True, "status": "REGISTERED", "reason": "invitation.patient.status"},
        known | {"status": "INVITED_NOT_REGISTERED"},
        {"diagnostics": "No access", "reason": "invitation.patient.organisation"},
        {"diagnostics": "Not found", "reason": "user.notFound"},
    ]
    assert len(house.rows("access_tokens")) == before
    assert plain
    assert dead
    assert emailed
    assert api.audited()[-1][0] == "status_queried"
    assert api.audited()[-1][4]["count"] == 6


def test_no_date_of_birth_is_ever_told(api: ApiService, house: House) -> None:
    house.arrive([numbered(1)])
    call, body = api.caller(), asked(nhs_number(1))
    for path in (GENERATE, STATUS):
        text = call("POST", path, json=body).text
        for digits in ("19801210", "1980-12-10", "1980"):
            assert digits not in text


def test_five_thousand_may_be_asked_about_and_no_more(api: ApiService, house: House) -> None:
    house.arrive([numbered(serial) for serial in range(20)])
    values = [nhs_number(serial % 20) for serial in range(5000)]
    call = api.caller()
    assert len(call("POST", STATUS, json=asked(*values)).json()["parameter"]) == 5000
    assert_outcome(call("POST", STATUS, json=asked(*values, values[0])), 400, "structure", "request.body")


def test_every_example_is_as_its_schema_says(api: ApiService) -> None:
    """Read by the very types that the entrance reads by."""
    for operation in api.declared:
        if operation.body is not None:
            msgspec.convert(operation.body.example, operation.body.model)
        for told in operation.answers.values():
            if told.example is not None:
                msgspec.convert(told.example, told.model)

"""Whatever stands in a path, a query, a form or a body, on every route of every face: never a fault of ours.

PostgreSQL fails on a text with NUL and on a number beyond 63 bits, SQLite on the latter, Python on 4,300 digits and on
brackets a thousand deep. Each of these is somebody's wrong value, and is answered as any other.
"""

from __future__ import annotations

import asyncio
import base64
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from itertools import product
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp

from daemon.api_face import api_face
from daemon.join_face import join_face
from daemon.own_thread import in_own_thread
from daemon.staff_pages import staff_pages
from invites.channels import gateway_receipts, notify_answers
from invites.channels.gateway_receipts import ReceiptFields
from invites.receipt import Receipt, ReceiptState
from patient_records.limits import Limits
from tests.support.people import person
from tests.support.staff_site import PASSWORD, StaffSite
from web.access.clients import Clients, Scope
from web.api import receipts
from web.api.receipts import Caller
from web.pages.guard import Guard

ODD: Final = {
    "nul": "\x00",
    "nul_within": "a\x00b",
    "nul_in_an_id": "0123456789abcdef0123456789abcde\x00",
    "64_bits": "9223372036854775808",
    "20_digits": "99999999999999999999",
    "5000_digits": "9" * 5000,
    "negative": "-1",
    "other_digits": "٣٣",
    "replaced": "\ufffd",
    "far_away": "\U0010ffff",
    "up": "../..",
    "quote": "'\"<>%{}",
    "long": "a" * 3000,
}
PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
FIELD: Final = re.compile(r"""form\.(?:text|secret|pressed)\(\s*"(\w+)\"""")
SECRET: Final = "a secret of the provider's"
DEEP: Final = b"[" * 5000 + b"]" * 5000


class Faces:
    """All faces of a house, spoken to without a socket: the staff's by somebody who is logged in."""

    def __init__(self, site: StaffSite) -> None:
        house = site.house
        self.site = site
        [self.somebody] = site.arrive([person()])
        self.api: Starlette = api_face(house, staff_pages(house), receipt_routes(site))
        self.join: ASGIApp = join_face(house)
        self.cookies: dict[int, httpx.Cookies] = {}

    def ask(self, app: ASGIApp, method: str, path: str, **given: Any) -> httpx.Response:
        """Send one request, in the place of a browser that keeps cookies."""

        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("192.0.2.7", 1234))
            jar = self.cookies.setdefault(id(app), httpx.Cookies())
            async with httpx.AsyncClient(transport=transport, base_url="https://here", cookies=jar) as client:
                answer = await client.request(method, path, **given)
                self.cookies[id(app)] = client.cookies
                return answer

        return asyncio.run(asked())

    def bearer(self) -> dict[str, str]:
        """The header of a System Client."""
        house = self.site.house
        with house.database.begin() as connection:
            clients = Clients(house.ids, os.urandom)
            made = clients.add(connection, "Odd", "RX1", Scope.SYSTEM, house.database.now(connection))
        grant, who = {"grant_type": "client_credentials"}, (made.client.client_id, made.secret)
        answer = self.ask(self.api, "POST", "/oauth/token", data=grant, auth=who)
        return {"authorization": f"Bearer {answer.json()['access_token']}"}

    def form(self, app: ASGIApp, page: str, path: str, fields: Mapping[str, str], **given: Any) -> httpx.Response:
        """Send a form with the token that ``page`` gives."""
        token = self.ask(app, "GET", page).text.partition('name="form_token" value="')[2].partition('"')[0]
        assert token
        return self.ask(app, "POST", path, data={"form_token": token, **fields}, **given)


def receipt_routes(site: StaffSite) -> list[Route]:
    """Calls of two providers, as the daemon reads them."""

    async def take(said: Any) -> object:
        return await in_own_thread(site.house.invites.receipts.take, said)

    def notify(said: Any) -> list[Receipt]:
        found = notify_answers.receipt_of(said, datetime.now(UTC))
        return [found] if found is not None else []

    fields = ReceiptFields("", "reference", "id", "status", "at", {"delivered": (ReceiptState.DELIVERED, False)})

    def gateway(said: Any) -> list[Receipt]:
        return gateway_receipts.receipts_of("http", fields, said, datetime.now(UTC))

    return receipts.routes(take, {"notify": Caller(SECRET, notify), "sms": Caller(SECRET, gateway)})


@pytest.fixture
def faces(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faces]:
    changes = {"api": {"requests_per_minute": 100_000}, "join": {"public_url": "https://here"}}
    monkeypatch.setattr(Limits, "take", lambda *_, **__: None)  # so that each value is looked at
    with StaffSite(tmp_path, database_url, changes) as site:
        site.staff()
        made = Faces(site)
        assert made.form(made.api, "/staff/login", "/staff/login", {"login": "anna", "password": PASSWORD}).is_redirect
        yield made


def routes_of(app: ASGIApp, prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every route of an application, mounted ones included, with its methods."""
    inner: Any = app._app if isinstance(app, Guard) else app
    for route in inner.routes:
        yield from _routes_of(route, prefix)


def _routes_of(route: BaseRoute, prefix: str) -> Iterator[tuple[str, set[str]]]:
    if isinstance(route, Mount):
        yield from routes_of(route.app, prefix + route.path)
    elif isinstance(route, Route):
        yield prefix + route.path, set(route.methods or {"GET", "POST"}) - {"HEAD"}


def quoted(value: str) -> str:
    return "".join(f"%{byte:02X}" for byte in value.encode())


def fields_of(package: str) -> list[str]:
    """The names of all fields that the files of a face read."""
    texts = [file.read_text("utf-8") for file in files(package).iterdir() if file.name.endswith(".py")]
    return sorted({name for text in texts for name in FIELD.findall(text)})


def no_fault(answers: Mapping[str, httpx.Response]) -> None:
    assert answers
    assert {what: answer.status_code for what, answer in answers.items() if answer.status_code >= 500} == {}


def test_in_paths_and_queries(faces: Faces) -> None:
    answers = {}
    for app in (faces.api, faces.join):
        for path, methods in routes_of(app):
            for name, value in ODD.items():
                odd = PARAMETER.sub(quoted(value), path)
                for method in methods & {"GET"} if odd != path else set():
                    answers[f"{method} {path} {name}"] = faces.ask(app, method, odd)
                if "GET" in methods:
                    asked = f"{odd}?said={quoted(value)}&lang={quoted(value)}"
                    answers[f"GET {path}? {name}"] = faces.ask(app, "GET", asked)
    assert len(answers) > 300
    no_fault(answers)


def test_in_the_paths_of_forms(faces: Faces) -> None:
    fields = {"decision": "opt_out", "pair": "all", "word": "accepted", "code_by": "sms", "token_by": "email"}
    answers = {}
    for path, methods in routes_of(faces.api):
        if path.startswith("/staff/") and "POST" in methods and PARAMETER.search(path):
            for name, value in ODD.items():
                odd = PARAMETER.sub(quoted(value), path)
                answers[f"{path} {name}"] = faces.form(faces.api, "/staff/people", odd, fields)
    no_fault(answers)
    assert {answer.status_code for answer in answers.values()} <= {404, 303}
    assert {a.status_code for what, a in answers.items() if "people" in what} == {404}


@pytest.mark.parametrize(
    ("package", "face", "page"), [("web.ops", "api", "/staff/people"), ("web.join", "join", "/join")]
)
def test_in_forms(faces: Faces, package: str, face: str, page: str) -> None:
    app, names = getattr(faces, face), fields_of(package)
    assert len(names) > 5
    usual = {"word": "accepted", "decision": "hold", "ground": "clinical", "day": "1", "month": "1", "year": "1980"}
    answers = {}
    for path, methods in routes_of(app):
        if "POST" in methods and (face == "join" or path.startswith("/staff/")) and not path.endswith("/logout"):
            known = PARAMETER.sub(faces.somebody, path)
            for name, value in ODD.items():
                fields = dict.fromkeys(names, value)
                answers[f"{path} {name}"] = faces.form(app, page, known, fields)
                answers[f"{path} {name} beside"] = faces.form(app, page, known, {**fields, **usual, "x": value})
    no_fault(answers)
    assert {a.status_code for what, a in answers.items() if "nul" in what} <= {400, 404}
    assert faces.ask(faces.api, "GET", "/staff/people").status_code == 200, "still logged in: the forms were read"


def test_in_headers(faces: Faces) -> None:
    names = ["origin", "host", "cookie", "x-forwarded-for", "accept-language", "content-type"]
    values = ["http://[", "[", "null", "a b", ";;==", "q=nan;q=inf", "::1%", "9" * 5000, '"', "en;q=" + "9" * 300]
    answers = {}
    for app, page in ((faces.api, "/staff/login"), (faces.join, "/join")):
        for name, value in product(names, values):
            headers = {name: value}
            answers[f"GET {page} {name} {value[:20]}"] = faces.ask(app, "GET", page, headers=headers)
            answers[f"POST {page} {name} {value[:20]}"] = faces.form(app, page, page, {"login": "x"}, headers=headers)
    no_fault(answers)


@pytest.mark.parametrize("path", ["/fhir/Organization/$generate-invitation-tokens", "/fhir/Patient/$status-query"])
def test_in_bodies_of_fhir(faces: Faces, path: str) -> None:
    bearer, answers = faces.bearer(), dict[str, httpx.Response]()
    for name, value in ODD.items():
        identifier = {"system": "https://fhir.nhs.uk/Id/nhs-number", "value": value[:100]}
        for odd in (identifier, {**identifier, "system": value}):
            parameter = [{"name": "patientIdentifier", "valueIdentifier": odd}]
            body = {"resourceType": "Parameters", "parameter": parameter}
            answers[f"{name} {len(answers)}"] = faces.ask(faces.api, "POST", path, json=body, headers=bearer)
    no_fault(answers)
    content = b'{"resourceType": "Parameters", "id": ' + DEEP + b', "parameter": []}'
    headers = {**bearer, "content-type": "application/fhir+json"}
    assert faces.ask(faces.api, "POST", path, content=content, headers=headers).status_code == 400


def test_in_paths_of_the_api(faces: Faces) -> None:
    bearer, answers = faces.bearer(), dict[str, httpx.Response]()
    for name, value in ODD.items():
        for method in ("GET", "POST"):
            path = f"/v1/users/{quoted(value)}/recordAccessToken"
            answers[f"{method} {name}"] = faces.ask(faces.api, method, path, headers=bearer)
        path = f"/v1/users/byNationalId/{quoted(value)}/{quoted(value)}"
        answers[f"number {name}"] = faces.ask(faces.api, "GET", path, headers=bearer)
    no_fault(answers)
    assert {answer.status_code for answer in answers.values()} <= {400, 404}


def test_in_credentials(faces: Faces) -> None:
    answers: dict[str, httpx.Response] = {}
    for name, value in ODD.items():
        plain = {"grant_type": "client_credentials"}
        basic = base64.b64encode(f"{quoted(value)}:{quoted(value)}".encode()).decode()
        for form, headers in (
            ({**plain, "client_id": value, "client_secret": value, "scope": value}, {}),
            (plain, {"authorization": f"Basic {basic}"}),
            (plain, {"authorization": f"Bearer {basic}"}),
        ):
            answer = faces.ask(faces.api, "POST", "/oauth/token", data=form, headers=headers)
            answers[f"{name} {len(answers)}"] = answer
    no_fault(answers)
    assert {answer.status_code for answer in answers.values()} <= {400, 401}


@pytest.mark.parametrize("provider", ["notify", "sms"])
def test_in_receipts(faces: Faces, provider: str) -> None:
    bearer, answers = {"authorization": f"Bearer {SECRET}"}, dict[str, httpx.Response]()
    path = f"/receipts/{provider}"
    for name, value in ODD.items():
        for said in ({"reference": value}, {"id": value}, {"reference": value, "id": value, "at": value}):
            body = {"status": "delivered", "completed_at": value, **said}
            answers[f"json {name} {len(answers)}"] = faces.ask(faces.api, "POST", path, json=body, headers=bearer)
            answers[f"form {name} {len(answers)}"] = faces.ask(faces.api, "POST", path, data=body, headers=bearer)
            answers[f"get {name} {len(answers)}"] = faces.ask(faces.api, "GET", path, params=body, headers=bearer)
    deep = faces.ask(faces.api, "POST", path, content=DEEP, headers={**bearer, "content-type": "application/json"})
    assert deep.status_code == 400
    no_fault(answers)

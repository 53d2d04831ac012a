"""The API on a real port, over a database with invented people in it, in this process: tests may move its clock."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx

from daemon.own_thread import in_own_thread
from invites.channels.loop_thread import LoopThread
from patient_records.audit import AuditTrail
from patient_records.limits import Limit, Limits
from tests.support.patience import SAFETY
from tests.support.people import ORGANISATION, House
from web.access.clients import Clients, NewClient, Scope
from web.api import application
from web.api.entrance import Desk
from web.background import Background
from web.server import WebFace

MINUTE = timedelta(minutes=1)
FHIR = "application/fhir+json"
Systems = Mapping[str, tuple[str, str]]


class Recorder:
    """Telemetry that remembers."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, str, int, str]] = []
        self.failures: list[BaseException] = []

    def answered(self, route: str, method: str, status: int, _seconds: float, client: str) -> None:
        """Keep what was answered."""
        self.answers.append((route, method, status, client))

    def failed(self, _route: str, error: BaseException) -> None:
        """Keep the fault."""
        self.failures.append(error)


class ApiService:
    """One API over the database of ``house``; ``most`` calls a minute and client."""

    def __init__(
        self, house: House, most: int = 1000, bearers: int = 1000, systems: Systems = MappingProxyType({})
    ) -> None:
        self.house = house
        self.told = Recorder()
        self.trail = AuditTrail(house.ring, house.ids)
        self._most, self._bearers, self._systems = most, bearers, systems
        self._loop = LoopThread("api")
        self.url = ""

    def __enter__(self) -> Self:
        self.face: WebFace = self._loop.run(self._made, SAFETY)
        self.url = f"http://127.0.0.1:{self._loop.run(self.face.start, SAFETY)}"
        self.http = httpx.Client(base_url=self.url, timeout=SAFETY)
        return self

    async def _made(self) -> WebFace:
        house = self.house
        desk = Desk(
            database=house.database,
            limits=Limits(house.records.blind_index),
            limit=Limit("api.requests", self._most, MINUTE),
            background=Background(in_own_thread),
            telemetry=self.told,
        )
        self.declared = application.operations(
            desk,
            records=house.records,
            on_request=house.invites.on_request,
            trail=self.trail,
            bearer_limit=Limit("api.bearers", self._bearers, MINUTE),
            fhir_systems=self._systems,
            random_bytes=os.urandom,
        )
        return WebFace(application.application(application.routes(self.declared, desk)), "127.0.0.1", 0)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()
        self._loop.close(self.face.stop, SAFETY)

    def client(self, organisation: str = ORGANISATION, scope: Scope = Scope.SYSTEM, **given: Any) -> NewClient:
        """Make a client."""
        with self.house.database.begin() as connection:
            now = self.house.database.now(connection)
            made = Clients(self.house.ids, os.urandom)
            return made.add(connection, "A system", organisation, scope, now, **given)

    def ask_bearer(self, form: dict[str, str], **given: Any) -> httpx.Response:
        """POST a form to /oauth/token."""
        return self.http.post("/oauth/token", data=form, **given)

    def bearer(self, made: NewClient) -> str:
        """Give a bearer for that client, got over HTTP."""
        answer = self.ask_bearer({"grant_type": "client_credentials"}, auth=(made.client.client_id, made.secret))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def caller(self, organisation: str = ORGANISATION, scope: Scope = Scope.SYSTEM) -> Callable[..., httpx.Response]:
        """A new client with its bearer: call it with method, path and what httpx takes."""
        bearer = self.bearer(self.client(organisation, scope))

        def call(method: str, path: str, **given: Any) -> httpx.Response:
            headers = {"authorization": f"Bearer {bearer}", **given.pop("headers", {})}
            return self.http.request(method, path, headers=headers, **given)

        return call

    def audited(self) -> list[tuple[str, str, str, int | None, dict[str, Any]]]:
        """Action, actor, organisation, record and detail of each audit entry, the oldest first."""
        with self.house.database.read() as connection:
            found = self.trail.entries(connection, limit=1000)
        return [
            (one.action, f"{one.actor.kind} {one.actor.id}", one.organisation, one.record_id, one.detail)
            for one in reversed(found)
        ]

    def public_id(self, record_id: int) -> str:
        """The public id of a record."""
        with self.house.database.read() as connection:
            return self.house.records.load(connection, [record_id])[record_id].record.public_id

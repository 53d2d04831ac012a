"""A coordinator's personal clients: programs of theirs that ask the API with their rights (SPEC 7)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from patient_records.audit import AuditEntry
from patient_records.audit_actions import Action
from web.access import clients
from web.access.clients import Client, NewClient, Scope
from web.ops.accounts import StaffAccount
from web.ops.desk import OpsDesk
from web.ops.door import Door
from web.pages.pages import Pages

PATH: Final = "/staff/clients"
MOST: Final = 10
"""Clients of one account that work: who needs more has lost sight of them."""

_LONGEST_NAME: Final = 60


class OwnClients:
    """The pages of personal clients."""

    def __init__(self, pages: Pages, desk: OpsDesk, door: Door) -> None:
        self._pages = pages
        self._desk = desk
        self._door = door

    def routes(self) -> list[BaseRoute]:
        """The list, making one, revoking one."""
        return [
            Route("/clients", self._door.guarded(self._show), methods=["GET"]),
            Route("/clients", self._door.guarded(self._make), methods=["POST"]),
            Route("/clients/{client_id:str}/revoke", self._door.guarded(self._revoke), methods=["POST"]),
        ]

    async def _show(self, request: Request, account: StaffAccount) -> Response:
        return await self._list(request, account)

    async def _list(self, request: Request, account: StaffAccount, error: str = "") -> Response:
        mine = await self._desk.run(lambda: self._desk.look(lambda c, _now: clients.of_staff(c, account.id)))
        said = request.query_params.get("said")
        return self._pages.show(
            request,
            "clients.html",
            account=account,
            mine=mine,
            error=error,
            said=said if said == "client_revoked" else None,
        )

    async def _make(self, request: Request, account: StaffAccount) -> Response:
        form = await self._pages.forms.read(request)
        name = " ".join(form.text("name", _LONGEST_NAME + 1).split())
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            return await self._list(request, account, self._pages.say(request, "clients.missing_name"))
        made = await self._desk.run(lambda: self._desk.transact(lambda c, now: self._add(c, account, name, now)))
        if made is None:
            return await self._list(request, account, self._pages.say(request, "clients.too_many"))
        return self._pages.show(request, "client_made.html", account=account, made=made)

    def _add(self, connection: Connection, account: StaffAccount, name: str, now: datetime) -> NewClient | None:
        working = [one for one in clients.of_staff(connection, account.id) if one.revoked_at is None]
        if len(working) >= MOST:
            return None
        scope = Scope.COORDINATOR
        made = self._desk.clients.add(connection, name, account.organisation, scope, now, staff_id=account.id)
        self._tell(connection, account, Action.CLIENT_ADDED, made.client, now)
        return made

    async def _revoke(self, request: Request, account: StaffAccount) -> Response:
        await self._pages.forms.read(request)
        client_id = request.path_params["client_id"]
        if not await self._desk.run(lambda: self._desk.transact(lambda c, now: self._end(c, account, client_id, now))):
            raise HTTPException(404)
        return self._pages.go(request, f"{PATH}?said=client_revoked")

    def _end(self, connection: Connection, account: StaffAccount, client_id: str, now: datetime) -> bool:
        client = clients.find(connection, client_id)
        if client is None or client.staff_id != account.id:
            return False
        if client.revoked_at is None:
            clients.revoke(connection, client, now)
            self._tell(connection, account, Action.CLIENT_REVOKED, client, now)
        return True

    def _tell(
        self, connection: Connection, account: StaffAccount, action: Action, client: Client, now: datetime
    ) -> None:
        detail = {"client": client.client_id, "scope": client.scope.value}
        self._desk.trail.append(
            connection, [AuditEntry(account.actor, action, account.organisation, None, detail)], now
        )

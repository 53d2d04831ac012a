"""The ops page: how the service does for one organisation, and what waits for a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from invites.accounts.lockouts import LockedPair, locked_pairs
from invites.by_hand import UnknownEntry, Word, unknown_entries
from patient_records.audit import AuditEntry
from patient_records.audit_actions import Action
from patient_records.ids import read_row_id
from web.ops import accounts
from web.ops.accounts import StaffAccount
from web.ops.desk import OpsDesk
from web.ops.door import HOME, Door
from web.ops.words import Words
from web.pages.pages import Pages

PATH = "/staff/service"
LOOKED_BACK = timedelta(days=30)
"""How far the page looks back at pairs that were locked: as long as one lives unless configured otherwise."""

MOST_LOCKED = 50
SAID = frozenset({"accepted", "not_sent", "settled_before"})


class _Seen(Struct, frozen=True):
    service: Any
    unknown: list[UnknownEntry]
    locked: list[StaffAccount]
    locked_pairs: list[LockedPair]
    now: datetime


class Service:
    """The ops page, and settling what nobody knows."""

    def __init__(self, pages: Pages, desk: OpsDesk, door: Door) -> None:
        self._pages = pages
        self._desk = desk
        self._door = door

    def routes(self) -> list[BaseRoute]:
        """The page, and the word of staff."""
        return [
            Route("/service", self._door.guarded(self._show), methods=["GET"]),
            Route("/entries/{entry_id:str}/settle", self._door.guarded(self._settle), methods=["POST"]),
        ]

    async def _show(self, request: Request, account: StaffAccount) -> Response:
        seen = await self._desk.run(lambda: self._desk.look(lambda c, now: self._seen(c, account, now)))
        said = request.query_params.get("said")
        return self._pages.show(
            request,
            "service.html",
            account=account,
            service=seen.service,
            unknown=seen.unknown,
            locked=seen.locked,
            locked_pairs=seen.locked_pairs,
            now=seen.now,
            word=Words(self._pages, request),
            said=said if said in SAID else None,
        )

    def _seen(self, connection: Connection, account: StaffAccount, now: datetime) -> _Seen:
        organisation = account.organisation
        colleagues = accounts.every(connection, organisation)
        return _Seen(
            service=self._desk.service(connection, organisation, now),
            unknown=unknown_entries(connection, organisation),
            locked=[one for one in colleagues if one.locked_until is not None and one.locked_until > now],
            locked_pairs=locked_pairs(connection, organisation, since=now - LOOKED_BACK, limit=MOST_LOCKED),
            now=now,
        )

    async def _settle(self, request: Request, account: StaffAccount) -> Response:
        form = await self._pages.forms.read(request)
        entry_id = read_row_id(request.path_params["entry_id"])
        if entry_id is None:
            raise HTTPException(404)
        try:
            word = Word(form.text("word"))
        except ValueError:
            raise HTTPException(400) from None
        settled = await self._desk.run(
            lambda: self._desk.transact(lambda c, now: self._say(c, account, entry_id, word, now))
        )
        person = form.text("person", 32)
        back = f"{HOME}/{person}" if person.isalnum() else PATH
        return self._pages.go(request, f"{back}?said={word.value if settled else 'settled_before'}")

    def _say(self, connection: Connection, account: StaffAccount, entry_id: int, word: Word, now: datetime) -> bool:
        record_id = self._desk.by_hand.settle(connection, entry_id, account.organisation, word)
        if record_id is None:
            return False
        detail = {"entry": entry_id, "outcome": word.value}
        entry = AuditEntry(account.actor, Action.DELIVERY_SETTLED, account.organisation, record_id, detail)
        self._desk.trail.append(connection, [entry], now)
        return True

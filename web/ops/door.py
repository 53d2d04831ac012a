"""Logging in and out, the first password, and the guard in front of every other page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from patient_records.audit import AuditEntry
from patient_records.audit_actions import Action
from patient_records.limits import Exceeded, Limit
from patient_records.passwords import Weakness
from web.ops import sessions
from web.ops.accounts import StaffAccount
from web.ops.desk import OpsDesk
from web.pages.cookies import Cookie
from web.pages.network_address import network_address
from web.pages.pages import Pages

Page: TypeAlias = Callable[[Request, StaffAccount], Awaitable[Response]]

LOGINS: Final = Limit("staff.logins", 60, timedelta(minutes=15))
"""Wrong tries from one address: many desks may stand behind one, and each account has its own, narrower limit."""

PASSWORDS: Final = Limit("staff.passwords", 10, timedelta(minutes=15))
"""Tries of one account to set a password: a desk that was left open is no way to guess the one that it has."""
HOME: Final = "/staff/people"
LOGIN: Final = "/staff/login"
PASSWORD: Final = "/staff/password"  # noqa: S105 (a path)
_TOO_MANY: Final = 429


class Door:
    """Who comes in."""

    def __init__(self, pages: Pages, desk: OpsDesk) -> None:
        self._pages = pages
        self._desk = desk
        # Strict: no link on another site ever opens a page of ours as somebody who is logged in.
        self._cookie = Cookie("doorstep-staff", secure=pages.secure, same_site="strict")

    def routes(self) -> list[BaseRoute]:
        """Login, logout and password."""
        return [
            Route("/", self._home, methods=["GET"]),
            Route("/login", self._ask, methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
            Route("/password", self.guarded(self._ask_password, first=True), methods=["GET"]),
            Route("/password", self.guarded(self._set_password, first=True), methods=["POST"]),
        ]

    def guarded(self, page: Page, *, first: bool = False) -> Callable[[Request], Awaitable[Response]]:
        """Let only who is logged in see a page; who has not set a password yet sees those marked ``first``."""

        async def endpoint(request: Request) -> Response:
            text = self._cookie.read(request)
            account = await self._desk.run(lambda: self._account(text)) if text else None
            if account is None:
                response: Response = self._pages.go(request, LOGIN)
                if text:
                    self._cookie.clear(response)
                return response
            if account.must_set_password and not first:
                return self._pages.go(request, PASSWORD)
            return await page(request, account)

        return endpoint

    def _account(self, text: str) -> StaffAccount | None:
        session = self._desk.look(lambda connection, now: sessions.holder(connection, text, now))
        if session is None:
            return None
        if session.stale:
            self._desk.transact(lambda connection, now: sessions.note(connection, text, now))
        return session.account

    async def _home(self, request: Request) -> Response:
        return self._pages.go(request, HOME)

    async def _ask(self, request: Request) -> Response:
        return self._pages.show(request, "login.html", errors={}, login="", account=None)

    async def _log_in(self, request: Request) -> Response:
        form = await self._pages.forms.read(request)
        login, password = form.text("login", 64), form.secret("password")
        address = network_address(request, self._desk.proxies)
        if await self._desk.run(lambda: self._too_many(LOGINS, address)):
            return self._refuse(request, login, "login.too_many", _TOO_MANY)
        account = await self._desk.run(lambda: self._desk.accounts.log_in(login, password))
        if account is None:
            return self._refuse(request, login, "login.wrong", 200)
        await self._desk.run(
            lambda: self._desk.transact(lambda c, now: self._desk.limits.give_back(c, LOGINS, address, now))
        )
        return await self._begin(request, account, PASSWORD if account.must_set_password else HOME)

    def _refuse(self, request: Request, login: str, key: str, status: int) -> Response:
        errors = {"login": self._pages.say(request, key)}
        return self._pages.show(request, "login.html", status, errors=errors, login=login, account=None)

    def _too_many(self, limit: Limit, subject: str) -> bool:
        counted = self._desk.transact(lambda c, now: self._desk.limits.take(c, limit, subject, now))
        return isinstance(counted, Exceeded)

    async def _begin(self, request: Request, account: StaffAccount, onward: str) -> Response:
        """Begin a session under a new cookie: what a cookie was worth before a login, it is not after it."""
        text = await self._desk.run(
            lambda: self._desk.transact(lambda connection, now: sessions.begin(connection, account, now))
        )
        if text is None:
            return self._refuse(request, account.login, "login.wrong", 200)
        self._pages.forms.renew(request)
        response = self._pages.go(request, onward)
        self._cookie.write(response, text)
        return response

    async def _log_out(self, request: Request) -> Response:
        await self._pages.forms.read(request)
        text = self._cookie.read(request)
        if text:
            await self._desk.run(lambda: self._end(text))
        self._pages.forms.renew(request)
        response = self._pages.go(request, LOGIN)
        self._cookie.clear(response)
        return response

    def _end(self, text: str) -> None:
        account = self._account(text)
        if account is None:
            return
        entry = AuditEntry(account.actor, Action.STAFF_LOGGED_OUT, account.organisation, detail={"staff": account.id})

        def end(connection: Connection, now: datetime) -> None:
            sessions.end(connection, text)
            self._desk.trail.append(connection, [entry], now)

        self._desk.transact(end)

    async def _ask_password(self, request: Request, account: StaffAccount) -> Response:
        return self._pages.show(request, "password.html", errors={}, account=account)

    async def _set_password(self, request: Request, account: StaffAccount) -> Response:
        form = await self._pages.forms.read(request)
        old, new, again = (form.secret(name) for name in ("old", "new", "again"))
        accounts = self._desk.accounts
        fault = None
        if await self._desk.run(lambda: self._too_many(PASSWORDS, str(account.id))):
            errors = {"old" if not account.must_set_password else "new": self._pages.say(request, "login.too_many")}
            return self._pages.show(request, "password.html", _TOO_MANY, errors=errors, account=account)
        if not account.must_set_password and not await self._desk.run(lambda: accounts.same_password(account, old)):
            fault = ("old", "password.wrong")
        elif new != again:
            fault = ("again", "password.differ")
        elif await self._desk.run(lambda: accounts.same_password(account, new)):
            fault = ("new", "password.same")
        said = await self._desk.run(lambda: accounts.set_password(account, new)) if fault is None else None
        if fault is None and said is None:  # the account was disabled or reset meanwhile
            return self._pages.go(request, LOGIN)
        if isinstance(said, Weakness):
            fault = ("new", f"password.{said.value}")
        if isinstance(said, StaffAccount):
            return await self._begin(request, said, f"{HOME}?said=password")
        field, key = fault or ("new", "password.differ")
        errors = {field: self._pages.say(request, key)}
        return self._pages.show(request, "password.html", errors=errors, account=account)

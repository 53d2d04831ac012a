"""``/login`` and ``/logout``. The front page leads there, or to the record of somebody who is logged in."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invites.accounts.emails import LONGEST
from invites.accounts.login import LoggedIn, NoLogin
from patient_records.limits import Exceeded
from patient_records.sessions import Session
from web.join.house import Held, JoinHouse


def routes(house: JoinHouse) -> list[Route]:
    """The routes of logging in and out."""
    face = _Login(house)
    return [
        Route("/", face.front, methods=["GET"]),
        Route("/login", face.ask, methods=["GET"]),
        Route("/login", face.log_in, methods=["POST"]),
        Route("/logout", face.front, methods=["GET"]),
        Route("/logout", face.log_out, methods=["POST"]),
    ]


class _Login:
    def __init__(self, house: JoinHouse) -> None:
        self._house = house
        self._pages = house.pages

    async def front(self, request: Request) -> Response:
        session = await self._house.threads.quick(self._house.patients.current, request)
        return self._page(request) if session is None else self._pages.go(request, "/record")

    async def ask(self, request: Request) -> Response:
        return self._page(request)

    async def log_in(self, request: Request) -> Response:
        """Log in: a new session, whatever cookie came with the request, and a new cookie for forms."""
        form = await self._pages.forms.read(request)
        email, password = form.text("email", LONGEST), form.secret("password")
        if not email or not password:
            return self._page(request, email, "login.missing", 422)
        said = await self._house.threads.slow(self._enter, email, password, self._house.address(request))
        self._house.count("login", _outcome(said))
        if isinstance(said, Exceeded):
            return self._house.too_many(request, said)
        if isinstance(said, NoLogin):
            return self._page(request, email, f"login.{said.value}", 422)
        self._pages.forms.renew(request)
        response = self._pages.go(request, "/record")
        self._house.patients.keep(response, said)
        self._house.joining.forget(response)
        return response

    async def log_out(self, request: Request) -> Response:
        """End the session, here and in the database."""
        await self._pages.forms.read(request)
        session = await self._house.threads.quick(self._house.patients.current, request)
        if session is not None:
            await self._house.threads.quick(self._house.patients.end, session)
        response = self._pages.show(request, "logged_out.html")
        self._house.patients.forget(response)
        return response

    def _enter(self, email: str, password: str, address: str) -> Session | NoLogin | Exceeded:
        said = self._house.accounts.login.log_in(email, password, address)
        if not isinstance(said, LoggedIn):
            return said
        database = self._house.database
        with database.begin() as connection:
            if not self._house.accounts.login.still(connection, said.account):
                return NoLogin.WRONG
            kept = Held(said.record_key.raw, said.account.id)
            return self._house.patients.begin(connection, said.account.id, kept.encode(), database.now(connection))

    def _page(self, request: Request, email: str = "", error: str = "", status: int = 200) -> Response:
        errors = {"email": self._pages.say(request, error)} if error else {}
        return self._pages.show(
            request, "login.html", status, email=email, errors=errors, password_reset=self._house.password_reset
        )


def _outcome(said: Session | NoLogin | Exceeded) -> str:
    if isinstance(said, Exceeded):
        return "limited"
    return said.value if isinstance(said, NoLogin) else "entered"

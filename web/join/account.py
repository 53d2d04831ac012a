"""An address and a password: ``/join/account`` and ``/join/sent``."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invites.accounts.emails import LONGEST, mailable
from invites.accounts.registration import Wish
from patient_records.limits import Exceeded
from patient_records.passwords import weakness
from patient_records.sessions import Session
from web.join.house import JoinHouse, held


def routes(house: JoinHouse) -> list[Route]:
    """The routes of this step."""
    step = _Account(house)
    return [
        Route("/join/account", step.ask, methods=["GET"]),
        Route("/join/account", step.begin, methods=["POST"]),
        Route("/join/sent", step.sent, methods=["GET"]),
    ]


class _Account:
    def __init__(self, house: JoinHouse) -> None:
        self._house = house
        self._pages = house.pages

    async def ask(self, request: Request) -> Response:
        session = await self._house.threads.quick(self._house.joining.current, request)
        return self._pages.go(request, "/join") if session is None else self._page(request)

    async def begin(self, request: Request) -> Response:
        """Begin the account, or say what cannot be taken."""
        form = await self._pages.forms.read(request)
        session = await self._house.threads.quick(self._house.joining.current, request)
        if session is None:
            return self._pages.show(request, "over.html", 403)
        typed, password = form.text("email", LONGEST + 1), form.secret("password")
        email = mailable(typed)
        errors = {}
        if email is None:
            errors["email"] = self._pages.say(request, "account.email.wrong" if typed else "account.email.missing")
        weak = await self._house.threads.quick(weakness, password, [typed, *typed.split("@"), self._pages.look.name])
        if weak is not None:
            errors["password"] = self._pages.say(request, f"password.{weak.value}")
        if errors or email is None:
            return self._page(request, typed, errors)
        return await self._began(request, session, email, password)

    async def sent(self, request: Request) -> Response:
        return self._pages.show(request, "sent.html")

    async def _began(self, request: Request, session: Session, email: str, password: str) -> Response:
        kept = held(session)
        language, address = self._pages.language_of(request), self._house.address(request)
        wish = Wish(kept.subject, kept.key, email, password, language, address)
        said = await self._house.threads.slow(self._house.accounts.registration.begin, wish)
        if isinstance(said, Exceeded):
            return self._house.too_many(request, said)
        if not said:
            return self._pages.show(request, "over.html", 403)
        return self._pages.go(request, "/join/sent")  # the session lives on: an address may have been mistyped

    def _page(self, request: Request, email: str = "", errors: dict[str, str] | None = None) -> Response:
        return self._pages.show(request, "account.html", 422 if errors else 200, email=email, errors=errors or {})

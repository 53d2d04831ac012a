"""Both codes, then the date of birth: ``/join``, ``/join/birth``, ``/join/not-me``.

The codes travel from the first page to the second in the form itself: nothing is looked up, counted or stored before
the date is there, too. A slip that the check characters show is told at once (SPEC 5.2) and is no attempt.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invites.access_token import AccessToken, Slip, Slips, parse
from invites.accounts.challenge import Proven
from invites.wording.phrases import in_groups
from patient_records.limits import Exceeded
from patient_records.sessions import Session
from web.join.house import Held, JoinHouse, date_in
from web.pages.forms import Form

_NO_DATE: Final = {"day": "", "month": "", "year": ""}
_LONGEST_FIELD: Final = 64


def routes(house: JoinHouse) -> list[Route]:
    """The routes of this step."""
    step = _Codes(house)
    return [
        Route("/join", step.ask, methods=["GET"]),
        Route("/join", step.read, methods=["POST"]),
        Route("/join/birth", step.again, methods=["GET"]),
        Route("/join/birth", step.open, methods=["POST"]),
        Route("/join/not-me", step.again, methods=["GET"]),
        Route("/join/not-me", step.disown, methods=["POST"]),
    ]


class _Codes:
    def __init__(self, house: JoinHouse) -> None:
        self._house = house
        self._pages = house.pages

    async def ask(self, request: Request) -> Response:
        return self._codes_page(request)

    async def again(self, request: Request) -> Response:
        """Nobody can begin in the middle: a page that was loaded again starts anew."""
        return self._pages.go(request, "/join")

    async def read(self, request: Request) -> Response:
        """Take the codes, or tell of a slip."""
        form = await self._pages.forms.read(request)
        typed = _typed(form)
        pair = parse(*typed)
        if isinstance(pair, Slips):
            self._house.count("challenge", "slip")
            return self._codes_page(request, typed, pair)
        return self._birth_page(request, pair)

    async def open(self, request: Request) -> Response:
        """Open the record by codes and date: the challenge itself."""
        form = await self._pages.forms.read(request)
        typed = _typed(form)
        pair = parse(*typed)
        if isinstance(pair, Slips):
            return self._codes_page(request, typed, pair)
        written, born = date_in(form, "birth")
        if born is None or not _may_be_born(born):
            return self._birth_page(request, pair, written, error="birth.no_date")
        said = await self._house.threads.quick(self._challenge, pair, born, self._house.address(request))
        self._house.count(
            "challenge", "proven" if isinstance(said, Session) else "wrong" if said is None else "limited"
        )
        if isinstance(said, Exceeded):
            return self._house.too_many(request, said)
        if said is None:
            return self._birth_page(request, pair, written, error="birth.wrong")
        response = self._pages.go(request, "/join/account")
        self._house.joining.keep(response, said)
        return response

    async def disown(self, request: Request) -> Response:
        """End a pair whose holder says "this is not me"; the page is the same whether there is such a pair."""
        form = await self._pages.forms.read(request)
        pair = parse(*_typed(form))
        if not isinstance(pair, Slips):
            exceeded = await self._house.threads.quick(self._end, pair, self._house.address(request))
            if exceeded is not None:
                return self._house.too_many(request, exceeded)
            self._house.count("challenge", "disowned")
        return self._pages.show(request, "disowned.html")

    def _challenge(self, pair: AccessToken, born: date, address: str) -> Session | Exceeded | None:
        database = self._house.database
        with database.begin() as connection:
            now = database.now(connection)
            said = self._house.accounts.challenge(connection, pair, born, address, now)
            if not isinstance(said, Proven):
                return said
            kept = Held(said.opened.key.raw, said.token_id)
            return self._house.joining.begin(connection, None, kept.encode(), now)

    def _end(self, pair: AccessToken, address: str) -> Exceeded | None:
        database = self._house.database
        with database.begin() as connection:
            return self._house.accounts.challenge.disown(connection, pair, address, database.now(connection))

    def _codes_page(self, request: Request, typed: tuple[str, str] = ("", ""), slips: Slips | None = None) -> Response:
        errors = {}
        if slips is not None:
            for name, slip in (("code", slips.code), ("token", slips.token)):
                if slip is not None:
                    missing = slip is Slip.LENGTH and not dict(zip(("code", "token"), typed, strict=True))[name]
                    errors[name] = self._pages.say(request, f"codes.{name}.{'missing' if missing else slip.value}")
        return self._pages.show(
            request, "codes.html", 422 if errors else 200, code=typed[0], token=typed[1], errors=errors
        )

    def _birth_page(
        self, request: Request, pair: AccessToken, written: object = None, *, error: str | None = None
    ) -> Response:
        return self._pages.show(
            request,
            "birth.html",
            422 if error else 200,
            code=in_groups(pair.code),
            token=in_groups(pair.token),
            written=written or _NO_DATE,
            errors={"birth": self._pages.say(request, error)} if error else {},
        )


def _typed(form: Form) -> tuple[str, str]:
    return form.text("code", _LONGEST_FIELD), form.text("token", _LONGEST_FIELD)


def _may_be_born(day: date) -> bool:
    """Whether anybody alive could be born on that day: else it is a slip, and no attempt."""
    return date(1880, 1, 1) <= day <= date.today()  # noqa: DTZ011 (a slip is told a few hours more or less)


def _outcome(said: Session | Exceeded | None) -> str:
    if isinstance(said, Exceeded):
        return "limited"
    return "wrong" if said is None else "proven"

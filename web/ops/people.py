"""The pages of people: the search, the person, and what is done there."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from invites.front_desk import CannotSplit
from invites.on_request import Issued
from invites.on_request import Refused as NoPair
from invites.recipient.person_name import full_name
from invites.wording.phrases import in_groups, join_page
from patient_records.decisions import Decision, Ground, Verdict
from patient_records.ids import read_row_id
from patient_records.limits import Limit
from web.ops.accounts import StaffAccount
from web.ops.desk import OpsDesk
from web.ops.door import HOME, Door
from web.ops.person_desk import NotFound, PersonDesk, PersonView, Printed
from web.ops.words import Words
from web.pages.forms import Form
from web.pages.pages import Pages

SEARCHES: Final = Limit("staff.searches", 120, timedelta(minutes=10))
"""Searches of one account: more than a desk needs, and far from reading a hospital's list of numbers."""

_LONGEST_IDENTIFIER: Final = 120
_TOO_MANY: Final = 429
SAID: Final = frozenset(
    {
        "password",
        "accepted",
        "not_sent",
        "settled_before",
        "revoked",
        "nothing_to_revoke",
        "unlocked",
        "closed",
        "split",
        *(decision.value for decision in Decision),
        "already_so",
    }
)
"""What a page may be told to say at its top, by code."""


class People:
    """All pages below ``/staff/people``."""

    def __init__(self, pages: Pages, desk: OpsDesk, door: Door) -> None:
        self._pages = pages
        self._desk = desk
        self._person = PersonDesk(desk)
        self._door = door

    def routes(self) -> list[BaseRoute]:
        """Search, person, and what is done with them."""
        person = "/people/{public_id:str}"
        posts = {
            "/pair": self._pair,
            "/letter": self._letter,
            "/split": self._split,
            "/revoke": self._revoke,
            "/decide": self._decide,
            "/unlock": self._unlock,
            "/close": self._close,
        }
        return [
            Route("/people", self._door.guarded(self._ask), methods=["GET"]),
            Route("/people", self._door.guarded(self._search), methods=["POST"]),
            Route(person, self._door.guarded(self._show), methods=["GET"]),
            *[Route(person + path, self._door.guarded(page), methods=["POST"]) for path, page in posts.items()],
        ]

    async def _ask(self, request: Request, account: StaffAccount) -> Response:
        return self._pages.show(request, "search.html", account=account, error="", said=_said(request))

    async def _search(self, request: Request, account: StaffAccount) -> Response:
        form = await self._pages.forms.read(request)
        text = form.text("identifier", _LONGEST_IDENTIFIER)
        limits = self._desk.limits
        if await self._desk.run(
            lambda: self._desk.transact(lambda c, now: limits.take(c, SEARCHES, str(account.id), now))
        ):
            return self._not_found(request, account, "too_many", _TOO_MANY)
        found = await self._desk.run(lambda: self._person.find(account, text)) if text else NotFound.NOBODY
        if isinstance(found, NotFound):
            return self._not_found(request, account, found.value, 200)
        return self._pages.go(request, f"{HOME}/{found}")

    def _not_found(self, request: Request, account: StaffAccount, why: str, status: int) -> Response:
        error = self._pages.say(request, f"search.{why}")
        return self._pages.show(request, "search.html", status, account=account, error=error, said=None)

    async def _show(self, request: Request, account: StaffAccount) -> Response:
        return await self._page(request, account, said=_said(request))

    async def _page(
        self, request: Request, account: StaffAccount, *, said: str | None = None, problem: str | None = None
    ) -> Response:
        public_id = request.path_params["public_id"]
        view = await self._desk.run(lambda: self._person.view(account, public_id))
        if view is None:
            raise HTTPException(404)
        return self._pages.show(
            request,
            "person.html",
            account=account,
            view=view,
            facts=_facts(view),
            word=Words(self._pages, request),
            grounds=list(Ground),
            path=f"{HOME}/{view.record.public_id}",
            said=said,
            problem=problem,
        )

    async def _pair(self, request: Request, account: StaffAccount) -> Response:
        await self._pages.forms.read(request)
        public_id = request.path_params["public_id"]
        said = await self._desk.run(lambda: self._person.issue(account, public_id))
        if not isinstance(said, Issued):
            return await self._refused(request, account, said)
        options = self._desk.options
        return self._pages.show(
            request,
            "pair.html",
            account=account,
            path=f"{HOME}/{said.public_id}",
            code=in_groups(said.pair.code),
            token=in_groups(said.pair.token),
            until=options.last_sure_day(said.expires_at),
            page=join_page(options.public_url),
        )

    async def _letter(self, request: Request, account: StaffAccount) -> Response:
        await self._pages.forms.read(request)
        public_id = request.path_params["public_id"]
        said = await self._desk.run(lambda: self._person.print(account, public_id))
        if isinstance(said, Printed):
            headers = {"content-disposition": 'inline; filename="letter.pdf"', "cache-control": "no-store"}
            return Response(said.letter.body, media_type="application/pdf", headers=headers)
        if said is None or isinstance(said, NoPair):
            return await self._refused(request, account, said)
        return await self._page(request, account, problem=Words(self._pages, request)("problem", said.code))

    async def _split(self, request: Request, account: StaffAccount) -> Response:
        form = await self._pages.forms.read(request)
        public_id, by = request.path_params["public_id"], (form.text("code_by"), form.text("token_by"))
        said = await self._desk.run(lambda: self._person.split(account, public_id, by))
        if isinstance(said, CannotSplit):
            return await self._page(request, account, problem=self._pages.say(request, "problem.cannot_split"))
        if not isinstance(said, Issued):
            return await self._refused(request, account, said)
        return self._pages.go(request, f"{HOME}/{said.public_id}?said=split")

    async def _refused(self, request: Request, account: StaffAccount, said: NoPair | None) -> Response:
        if said is None:
            raise HTTPException(404)
        return await self._page(request, account, problem=Words(self._pages, request)("refusal", said.refusal.value))

    async def _revoke(self, request: Request, account: StaffAccount) -> Response:
        form = await self._pages.forms.read(request)
        public_id, which = request.path_params["public_id"], _pair_ids(form)
        ended = await self._desk.run(lambda: self._person.revoke(account, public_id, which))
        if ended is None:
            raise HTTPException(404)
        return self._pages.go(request, f"{HOME}/{public_id}?said={'revoked' if ended else 'nothing_to_revoke'}")

    async def _unlock(self, request: Request, account: StaffAccount) -> Response:
        await self._pages.forms.read(request)
        public_id = request.path_params["public_id"]
        lifted = await self._desk.run(lambda: self._person.unlock(account, public_id))
        if lifted is None:
            raise HTTPException(404)
        return self._pages.go(request, f"{HOME}/{public_id}?said={'unlocked' if lifted else 'already_so'}")

    async def _close(self, request: Request, account: StaffAccount) -> Response:
        await self._pages.forms.read(request)
        public_id = request.path_params["public_id"]
        closed = await self._desk.run(lambda: self._person.close(account, public_id))
        if closed is None:
            raise HTTPException(404)
        return self._pages.go(request, f"{HOME}/{public_id}?said={'closed' if closed else 'already_so'}")

    async def _decide(self, request: Request, account: StaffAccount) -> Response:
        form = await self._pages.forms.read(request)
        public_id = request.path_params["public_id"]
        try:
            decision = Decision(form.text("decision"))
            ground = Ground(form.text("ground")) if decision.asks_reason else None
        except ValueError:
            return await self._page(request, account, problem=self._pages.say(request, "problem.no_ground"))
        verdict = await self._desk.run(lambda: self._person.decide(account, public_id, decision, ground))
        if verdict in {Verdict.NOT_FOUND, Verdict.OTHER_ORGANISATION}:
            raise HTTPException(404)
        said = decision.value if verdict is Verdict.DONE else verdict.value
        return self._pages.go(request, f"{HOME}/{public_id}?said={said}")


def _pair_ids(form: Form) -> list[int] | None:
    """Which pairs: the one that was named, or None for all."""
    text = form.text("pair", 20)
    named = read_row_id(text)
    return None if text == "all" else [named] if named is not None else []


def _said(request: Request) -> str | None:
    said = request.query_params.get("said")
    return said if said in SAID else None


def _facts(view: PersonView) -> dict[str, str | list[str]]:
    """Who the person is, for the eyes of the desk: to be sure that it is this one who stands there."""
    person = view.record.demographics
    return {
        "name": full_name(person.name),
        "identifiers": [f"{one.value} ({one.authority or one.type})" for one in person.identifiers],
        "phones": [point.value for point in person.contact_points if point.kind != "email"],
        "emails": [point.value for point in person.contact_points if point.kind == "email"],
        "addresses": [
            ", ".join(filter(None, (*one.lines, one.city, one.county, one.postcode))) for one in person.addresses
        ],
    }

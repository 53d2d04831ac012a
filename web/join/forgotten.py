"""A forgotten password: ``/forgotten`` mails a link, ``/reset`` is where it leads.

What ``/forgotten`` answers is sent before anything is looked up, so neither the page nor its time tells whether an
address has an account.
"""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invites.accounts import links
from invites.accounts.emails import LONGEST, mailable
from invites.accounts.password_reset import NewPassword
from patient_records.limits import Exceeded
from patient_records.passwords import weakness
from web.join.confirm import LONGEST_SECRET
from web.join.house import JoinHouse, date_in


def routes(house: JoinHouse) -> list[Route]:
    """The routes for a forgotten password; where the hospital forbids it, a page that says who helps."""
    face = _Forgotten(house)
    return [
        Route("/forgotten", face.ask, methods=["GET"]),
        Route("/forgotten", face.mail if house.password_reset else face.ask, methods=["POST"]),
        Route("/reset", face.choose, methods=["GET"]),
        Route("/reset", face.set if house.password_reset else face.choose, methods=["POST"]),
    ]


class _Forgotten:
    def __init__(self, house: JoinHouse) -> None:
        self._house = house
        self._pages = house.pages

    async def ask(self, request: Request) -> Response:
        if not self._house.password_reset:
            return self._pages.show(request, "front_desk.html")
        return self._pages.show(request, "forgotten.html", email="", errors={})

    async def mail(self, request: Request) -> Response:
        """Answer, and only then see whether there is anybody to mail to."""
        typed = (await self._pages.forms.read(request)).text("email", LONGEST + 1)
        email = mailable(typed)
        if email is None:
            key = "account.email.wrong" if typed else "account.email.missing"
            errors = {"email": self._pages.say(request, key)}
            return self._pages.show(request, "forgotten.html", 422, email=typed, errors=errors)
        reset = self._house.accounts.password_reset
        exceeded = await self._house.threads.quick(reset.too_often, self._house.address(request))
        if exceeded is not None:
            return self._house.too_many(request, exceeded)
        response = self._pages.show(request, "reset_sent.html")
        response.background = BackgroundTask(
            self._house.threads.quick, reset.ask, email, self._pages.language_of(request)
        )
        return response

    async def choose(self, request: Request) -> Response:
        if not self._house.password_reset:
            return self._pages.show(request, "front_desk.html")
        return self._page(request, "", {"day": "", "month": "", "year": ""}, {})

    async def set(self, request: Request) -> Response:
        """Set the new password."""
        form = await self._pages.forms.read(request)
        typed, password = form.text("secret", LONGEST_SECRET), form.secret("password")
        written, born = date_in(form, "birth")
        carried, errors = links.read(typed), {}
        if carried is None:
            errors["secret"] = self._pages.say(request, "secret.slip" if typed else "secret.missing")
        if born is None:
            errors["birth"] = self._pages.say(request, "birth.no_date")
        # Judging a password takes time: not for whoever has no link.
        known = carried is not None and await self._house.threads.quick(
            self._house.accounts.password_reset.knows, carried
        )
        weak = await self._house.threads.quick(weakness, password, [self._pages.look.name]) if known else None
        if weak is not None:
            errors["password"] = self._pages.say(request, f"password.{weak.value}")
        if errors or carried is None:
            return self._page(request, typed, written, errors)
        wish = NewPassword(carried, born, password, self._house.address(request))
        said = await self._house.threads.slow(self._house.accounts.password_reset.set, wish)
        if isinstance(said, Exceeded):
            return self._house.too_many(request, said)
        if not said:
            return self._page(request, typed, written, {"birth": self._pages.say(request, "reset.wrong")})
        response = self._pages.show(request, "reset_done.html")
        self._house.patients.forget(response)
        return response

    def _page(self, request: Request, secret: str, written: object, errors: dict[str, str]) -> Response:
        return self._pages.show(
            request, "reset.html", 422 if errors else 200, secret=secret, written=written, errors=errors
        )

"""The link from the mail: ``/confirm``. Opening it spends nothing; its button does."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from invites.accounts import links
from invites.accounts.confirmation import Confirmed
from patient_records.limits import Exceeded
from web.join.house import JoinHouse

LONGEST_SECRET = 64


def routes(house: JoinHouse) -> list[Route]:
    """The routes of this step."""
    pages = house.pages

    async def ask(request: Request) -> Response:
        return pages.show(request, "confirm.html", secret="", errors={})

    async def confirm(request: Request) -> Response:
        typed = (await pages.forms.read(request)).text("secret", LONGEST_SECRET)
        carried = links.read(typed)
        if carried is None:
            errors = {"secret": pages.say(request, "secret.slip" if typed else "secret.missing")}
            return pages.show(request, "confirm.html", 422, secret=typed, errors=errors)
        said = await house.threads.quick(house.accounts.confirmation.confirm, carried, house.address(request))
        house.count("confirmation", "limited" if isinstance(said, Exceeded) else said.value)
        if isinstance(said, Exceeded):
            return house.too_many(request, said)
        if said is Confirmed.NOT:
            return pages.show(request, "link_over.html", 410, again="/join")
        response = pages.show(request, "confirmed.html", before=said is Confirmed.BEFORE)
        house.joining.forget(response)
        return response

    return [Route("/confirm", ask, methods=["GET"]), Route("/confirm", confirm, methods=["POST"])]

"""The staff's face: all pages below ``/staff``, to be mounted on the api port and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import tzinfo
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from web.ops.desk import OpsDesk
from web.ops.door import HOME, Door
from web.ops.own_clients import OwnClients
from web.ops.people import People
from web.ops.service import Service
from web.pages.face import browser_face
from web.pages.pages import Look, Pages

PREFIX: Final = "/staff"


def staff_face(
    desk: OpsDesk, look: Look, *, secure: bool, zone: tzinfo, fault: Callable[[BaseException], None]
) -> list[BaseRoute]:
    """Put the pages together. ``secure`` says that staff come over TLS, ``fault`` hears of the program's own faults."""
    pages = Pages(files("web.ops"), look, secure=secure, zone=zone, prefix=PREFIX)
    door = Door(pages, desk)
    parts = (door, People(pages, desk, door), Service(pages, desk, door), OwnClients(pages, desk, door))
    face = browser_face(pages, [route for part in parts for route in part.routes()], fault=fault)

    async def bare(_request: Request) -> Response:
        return RedirectResponse(HOME, 303)

    return [Route(PREFIX, bare, methods=["GET"]), Mount(PREFIX, face)]

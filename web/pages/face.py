"""A face for browsers, put together: routes, error pages, guard."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from patient_records.errors import RecordsError
from web.pages.guard import Guard
from web.pages.pages import Pages

_UNAVAILABLE: Final = 503
_FAULT: Final = 500

_ROBOTS: Final = "User-agent: *\nDisallow: /\n"


def browser_face(pages: Pages, routes: Sequence[BaseRoute], *, fault: Callable[[BaseException], None]) -> ASGIApp:
    """Wrap the routes of a face. ``fault`` hears of every exception that is the program's own.

    A database that is away is no fault of the page: the person is asked to come again in a moment (503).
    """

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else _FAULT
        response = pages.error(request, status)
        response.headers.update((error.headers or {}) if isinstance(error, HTTPException) else {})
        return response

    async def unavailable(request: Request, _error: Exception) -> Response:
        return pages.error(request, _UNAVAILABLE)

    async def failed(request: Request, _error: Exception) -> Response:
        return pages.error(request, _FAULT)  # Starlette raises it again, so the guard hears of it

    async def robots(_request: Request) -> Response:
        return PlainTextResponse(_ROBOTS)

    app = Starlette(
        routes=[*routes, pages.assets.route, Route("/robots.txt", robots, methods=["GET"])],
        exception_handlers={HTTPException: refused, RecordsError: unavailable, Exception: failed},
    )
    app.router.redirect_slashes = False  # it would repeat the Host header, and lead from https to http behind a proxy
    return Guard(app, behind_tls=pages.secure, fault=fault)

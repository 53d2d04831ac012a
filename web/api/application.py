"""The face towards the hospital's network, put together: health and metrics, the API, its description."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from invites.on_request import OnRequest
from patient_records.audit import AuditTrail
from patient_records.limits import Limit
from patient_records.repository import Records
from web.api import error_body, trouble
from web.api.by_national_id import ByNationalIdEndpoint
from web.api.entrance import Desk, Entrance
from web.api.oauth_token import TokenEndpoint
from web.api.operation import Operation
from web.api.record_access_token import RecordAccessTokenEndpoint


def operations(
    desk: Desk,
    *,
    records: Records,
    on_request: OnRequest,
    trail: AuditTrail,
    bearer_limit: Limit,
    random_bytes: Callable[[int], bytes],
) -> list[Operation]:
    """Every call of the API, in the order in which its pages tell them."""
    return [
        TokenEndpoint(desk.limits, bearer_limit, trail, random_bytes).operation(),
        *RecordAccessTokenEndpoint(on_request, trail).operations(),
        ByNationalIdEndpoint(records, trail).operation(),
    ]


def routes(declared: Iterable[Operation], desk: Desk) -> list[BaseRoute]:
    """A route for each path."""
    by_path = groupby(declared, key=lambda operation: operation.path)
    return [Route(path, Entrance(list(methods), desk), name=path) for path, methods in by_path]


def application(all_routes: Sequence[BaseRoute]) -> Starlette:
    """The ASGI application of the api port; whatever goes wrong in it is told in the API's shape."""
    app = Starlette(routes=all_routes, exception_handlers={HTTPException: _http_trouble, Exception: _our_fault})
    app.router.redirect_slashes = False  # a redirect would repeat a path that may hold a national number
    return app


async def _http_trouble(_request: Request, error: Any) -> Response:
    if error.status_code == 405:  # noqa: PLR2004 (RFC 9110)
        return error_body.told(trouble.wrong_method((error.headers or {}).get("Allow", "GET"))).response()
    return error_body.told(trouble.no_such_path()).response()


async def _our_fault(_request: Request, _error: Exception) -> Response:
    return error_body.told(trouble.our_fault()).response()

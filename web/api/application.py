"""The face towards the hospital's network, put together: health and metrics, the API, its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from web.api import docs_pages, error_body, openapi, trouble
from web.api.by_national_id import ByNationalIdEndpoint
from web.api.entrance import Desk, Entrance
from web.api.generate_invitation_tokens import GenerateInvitationTokens
from web.api.identifier_systems import IdentifierSystems
from web.api.oauth_token import TokenEndpoint
from web.api.operation import Operation
from web.api.record_access_token import RecordAccessTokenEndpoint
from web.api.status_query import StatusQuery


def operations(
    desk: Desk,
    *,
    records: Records,
    on_request: OnRequest,
    trail: AuditTrail,
    bearer_limit: Limit,
    fhir_systems: Mapping[str, tuple[str, str]],
    random_bytes: Callable[[int], bytes],
) -> list[Operation]:
    """Every call of the API, in the order in which its pages tell them."""
    systems = IdentifierSystems(records, fhir_systems)
    return [
        TokenEndpoint(desk.limits, bearer_limit, trail, random_bytes).operation(),
        *RecordAccessTokenEndpoint(on_request, trail).operations(),
        ByNationalIdEndpoint(records, trail).operation(),
        GenerateInvitationTokens(systems, on_request, trail).operation(),
        StatusQuery(systems, on_request, trail).operation(),
    ]


def routes(declared: Sequence[Operation], desk: Desk) -> list[BaseRoute]:
    """A route for each path, and those of the description and its pages."""
    by_path = groupby(declared, key=lambda operation: operation.path)
    calls = [Route(path, Entrance(list(methods), desk), name=path) for path, methods in by_path]
    return [*calls, openapi.route(declared), *docs_pages.routes(declared)]


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

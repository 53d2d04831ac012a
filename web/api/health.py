"""``/healthz`` (the process lives), ``/readyz`` (it can take and store messages) and ``/metrics`` (Prometheus)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from web.headers import plain_headers

Check = Callable[[], Awaitable[Mapping[str, bool]]]
"""Gives the parts that must work, by name, and whether each does."""


def routes(check: Check, exposition: Callable[[], tuple[bytes, str]]) -> list[Route]:
    """The three routes. ``exposition`` gives the metrics page and its content type."""

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=plain_headers())

    async def readyz(_request: Request) -> Response:
        parts = await check()
        ready = all(parts.values())
        body = {"status": "ready" if ready else "not ready", "parts": dict(parts)}
        return JSONResponse(body, 200 if ready else 503, headers=plain_headers())

    async def metrics(_request: Request) -> Response:
        body, content_type = exposition()
        return Response(body, headers={**plain_headers(), "content-type": content_type})

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]

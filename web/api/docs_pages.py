"""``/docs``: the API for people, made of its description by the server. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from web.api import openapi
from web.api.operation import Operation
from web.headers import plain_headers

PATH: Final = "/docs"
STYLE: Final = "/docs/style.css"

_FOLDER: Final = Path(__file__).with_name("pages")
_POLICY: Final = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def routes(declared: Sequence[Operation]) -> list[Route]:
    """The page and its style, made once."""
    page = render(declared)
    style = (_FOLDER / "docs.css").read_text("utf-8")

    async def docs(_request: Request) -> Response:
        return Response(page, headers=_headers("text/html; charset=utf-8"))

    async def docs_style(_request: Request) -> Response:
        return Response(style, headers=_headers("text/css; charset=utf-8"))

    return [Route(PATH, docs), Route(STYLE, docs_style)]


def render(declared: Sequence[Operation]) -> str:
    """The page. Everything in it comes from the description, escaped."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["as_json"] = _as_json
    described = openapi.describe(declared)
    calls = [
        (method.upper(), path, told) for path, methods in described["paths"].items() for method, told in methods.items()
    ]
    return environment.get_template("docs.html").render(
        described=described, calls=calls, openapi=openapi.PATH, style=STYLE
    )


def _as_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _headers(kind: str) -> dict[str, str]:
    return {**plain_headers(), "content-security-policy": _POLICY, "content-type": kind}

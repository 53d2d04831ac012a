"""``/receipts``: what providers call back with, each with a secret of its own.

A call is answered 204 once its receipts are committed, so that a provider that gets anything else tells them again;
what a receipt says that means nothing here is passed over, for telling it again would not mend it. A provider without a
secret in the configuration has no route. Nothing of a call is logged: it holds numbers and addresses.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec
from msgspec import Struct
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from invites.channels.bounce import MOST_BYTES as MOST_BYTES_OF_MAIL
from invites.receipt import Receipt
from patient_records.errors import StorageConflict, StorageUnavailable
from patient_records.model import Masked
from web.headers import plain_headers

MOST_BYTES: Final = 1 << 20
"""Of a call: a thousand receipts have a fraction of it."""

_CHUNK: Final = 500
"""Receipts in one transaction."""

Take = Callable[[Sequence[Receipt]], Awaitable[object]]
"""Takes receipts in; raises StorageUnavailable or StorageConflict."""

_FORM: Final = "application/x-www-form-urlencoded"


class Caller(Masked, Struct, frozen=True):
    """One provider that calls back: its ``secret``, and how its call is ``read``.

    ``mail`` callers send a whole mail as their body, others JSON, a form or a query, which are read as a document.
    ``read`` raises ValueError for what it cannot read.
    """

    secret: str
    read: Callable[[Any], list[Receipt]]
    mail: bool = False


def routes(take: Take, callers: Mapping[str, Caller]) -> list[Route]:
    """Give each caller its route, ``/receipts/{name}``.

    Those that send no header of their own may have their secret at its end: no path is ever logged.
    """
    found = []
    for name, caller in callers.items():
        endpoint = _endpoint(take, caller)
        methods = ["POST"] if caller.mail else ["POST", "GET"]
        found.append(Route(f"/receipts/{name}", endpoint, methods=methods))
        found.append(Route(f"/receipts/{name}/{{secret}}", endpoint, methods=methods))
    return found


def _endpoint(take: Take, caller: Caller) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if not _knows(request, caller.secret):
            return _said(401, {"www-authenticate": "Bearer"})
        content = await _content(request, MOST_BYTES_OF_MAIL if caller.mail else MOST_BYTES)
        if content is None:
            return _said(413)
        try:
            receipts = caller.read(content if caller.mail else _document(request, content))
        except ValueError:
            return _said(400)
        try:
            for at in range(0, len(receipts), _CHUNK):
                await take(receipts[at : at + _CHUNK])
        except (StorageUnavailable, StorageConflict):
            return _said(503, {"retry-after": "5"})
        return _said(204)

    return endpoint


def _knows(request: Request, secret: str) -> bool:
    """Whether the call shows the secret, compared in the same time whatever it shows."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    shown = request.path_params.get("secret") or (token.strip() if kind.lower() == "bearer" else "")
    return hmac.compare_digest(shown.encode(), secret.encode())


async def _content(request: Request, most: int) -> bytes | None:
    content = b""
    try:
        async for part in request.stream():
            content += part
            if len(content) > most:
                return None
    except ClientDisconnect:
        return None
    return content


def _document(request: Request, content: bytes) -> Any:
    """Read JSON, a form, or the query of a call without a body. Raises ValueError."""
    if request.method == "GET":
        return dict(request.query_params)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM:
        return dict(parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        return msgspec.json.decode(content)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _said(status: int, headers: Mapping[str, str] | None = None) -> Response:
    return Response(status_code=status, headers={**plain_headers(), **(headers or {})})

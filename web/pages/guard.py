"""Around every page: headers, limits of size and time, and error pages that say nothing of the inside.

Written against ASGI itself, for a limit must hold before anything reads the body. The headers follow the OWASP Secure
Headers Project; what a page may load is its own port's style and scripts, and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES: Final = 64 << 10
"""Bytes of a request's body: a form of ours has less than two thousand."""

PATIENCE: Final = 20.0
"""Seconds in which a request's body must have come: a form over a bad line takes two."""

_YEAR: Final = 31536000

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow, noarchive",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=(), interest-cohort=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class BodyTooLarge(HTTPException):
    """The body is larger than it may be (413)."""

    def __init__(self) -> None:
        super().__init__(413, headers={"connection": "close"})


class BodyTooSlow(HTTPException):
    """The body did not come in time (408)."""

    def __init__(self) -> None:
        super().__init__(408, headers={"connection": "close"})


class Guard:
    """The outermost layer of a face."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        behind_tls: bool,
        fault: Callable[[BaseException], None],
        most_bytes: int = MOST_BYTES,
        patience: float = PATIENCE,
    ) -> None:
        """``fault`` is told of every exception that escapes a page: the page for it was made already, further in."""
        self._app = app
        self._fault = fault
        self._headers = dict(_HEADERS)
        if behind_tls:
            self._headers["strict-transport-security"] = f"max-age={_YEAR}; includeSubDomains"
        self._most_bytes = most_bytes
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                self._dress(message)
            await send(message)

        try:
            await self._app(scope, self._limited(scope, receive), sending)
        except Exception as fault:  # noqa: BLE001 (whatever a page does, its text goes to nobody)
            self._fault(fault)
            if not begun:  # the page that says so failed, too
                await PlainTextResponse("Something went wrong.", 500)(scope, receive, sending)

    def _dress(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        headers.setdefault("cache-control", "no-store")

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        """Count what comes, and the time that it takes."""
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        left = -1 if not declared.isdigit() or int(declared) > self._most_bytes else self._most_bytes
        until = asyncio.get_running_loop().time() + self._patience
        whole = False

        async def receiving() -> Message:
            nonlocal left, whole
            if left < 0:
                raise BodyTooLarge
            if whole:
                return await receive()
            message = await _before(until, receive())
            left -= len(message.get("body", b""))
            whole = not message.get("more_body", False)
            if left < 0:
                raise BodyTooLarge
            return message

        return receiving


async def _before(until: float, receiving: Awaitable[Message]) -> Message:
    try:
        async with asyncio.timeout_at(until):
            return await receiving
    except TimeoutError:
        raise BodyTooSlow from None

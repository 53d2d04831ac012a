"""The body of a request: read as far as it may be long, within the time that it may take."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

SECONDS: Final = 10.0
"""For a whole body: 1 MiB in that time needs 0.8 Mbit/s."""


class BodyTooLarge(Exception):
    """The body is longer than it may be; not all of it was read."""


class BodyTooSlow(Exception):
    """The body did not come in time, or its sender left."""


async def read_body(request: Request, most: int, seconds: float = SECONDS) -> bytes:
    """Give the whole body. Raises BodyTooLarge (before reading, where Content-Length says so) and BodyTooSlow."""
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise BodyTooLarge
    try:
        async with asyncio.timeout(seconds):
            return await _all_of(request, most)
    except (TimeoutError, ClientDisconnect):
        raise BodyTooSlow from None


async def _all_of(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise BodyTooLarge
    return bytes(body)

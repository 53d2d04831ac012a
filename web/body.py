"""The body of a request: read as far as it may be long, within the time that it may take."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.requests import ClientDisconnect, Request

SECONDS: Final = 10.0
"""For a whole body: 1 MiB in that time needs 0.8 Mbit/s."""


DISCARDED: Final = 8 << 20
"""Bytes of a body that is too long which are read and thrown away, so that its sender, who writes before it reads, gets
the answer and not a broken connection."""


class BodyTooLarge(Exception):
    """The body is longer than it may be; nothing of it was kept."""


class BodyTooSlow(Exception):
    """The body did not come in time, or its sender left."""


async def read_body(request: Request, most: int, seconds: float = SECONDS) -> bytes:
    """Give the whole body. Raises BodyTooLarge and BodyTooSlow."""
    try:
        async with asyncio.timeout(seconds):
            return await _all_of(request, most)
    except (TimeoutError, ClientDisconnect):
        raise BodyTooSlow from None


async def _all_of(request: Request, most: int) -> bytes:
    body, length = bytearray(), 0
    async for chunk in request.stream():
        length += len(chunk)
        if length <= most:
            body += chunk
        elif length > DISCARDED:
            break
    if length > most:
        raise BodyTooLarge
    return bytes(body)

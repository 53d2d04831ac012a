"""One HTTP request to a provider, and how far it had come when it failed.

The point of no return is the first byte that could make the request whole: of its body, or of its head where there is
none. httpcore tells of both (its trace events). Whatever fails before was certainly not sent; whatever fails after, and
every answer that nobody can read, is unknown. Redirects are not followed: a provider that moved wants a new setting,
and a POST that is sent on is sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
from msgspec import Struct

from invites.channels.channel import NotSent, Unknown
from invites.channels.http_exchange import Ask, Reply
from invites.channels.loop_thread import LoopThread
from patient_records.model import Masked

MOST_BYTES: Final = 1 << 20
"""Of an answer: more than any provider says."""

_NO_RETURN: Final = {True: "http11.send_request_body.started", False: "http11.send_request_headers.started"}
_KEPT: Final = 5.0
"""Seconds that an idle connection is kept: shorter than the patience of servers, so that few requests meet a closed
one."""


class HttpOptions(Masked, Struct, frozen=True):
    """What every HTTP provider is told.

    ``timeout`` bounds a whole request in seconds; ``ca_file`` names the only authorities trusted; ``proxy`` is the URL
    of a forward proxy, empty for none.
    """

    timeout: float = 25.0
    ca_file: Path | None = None
    proxy: str = ""


class HttpCaller:
    """Makes requests from any thread, over connections that are kept. ``name`` begins the codes of failures."""

    def __init__(self, name: str, options: HttpOptions) -> None:
        self._name = name
        self._options = options
        self._loop = LoopThread(name)
        self._client: httpx.AsyncClient | None = None

    def __call__(self, ask: Ask) -> Reply | NotSent | Unknown:
        """Make the request; ends within the options' timeout."""
        return self._loop.run(partial(self._made, ask), self._options.timeout)

    def close(self) -> None:
        """Close the connections that are kept."""
        self._loop.close(self._closed, 2.0)

    async def _closed(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def _made(self, ask: Ask) -> Reply | NotSent | Unknown:
        progress = _Progress(_NO_RETURN[bool(ask.content)])
        try:
            client = self._ready()
            async with asyncio.timeout(self._options.timeout):
                return await _exchange(client, ask, progress)
        except (httpx.TimeoutException, TimeoutError):
            return self._failed("timeout", progress)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return NotSent(f"{self._name}_bad_url")
        except (httpx.HTTPError, OSError) as fault:
            return self._failed(_why(fault), progress)

    def _failed(self, why: str, progress: _Progress) -> NotSent | Unknown:
        code = f"{self._name}_{why}"
        return Unknown(f"{code}_after_request") if progress.sent else NotSent(code)

    def _ready(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(
                verify=ssl.create_default_context(cafile=self._options.ca_file),
                proxy=self._options.proxy or None,
                trust_env=False,  # what is not in our configuration has no say
                timeout=self._options.timeout,
                limits=httpx.Limits(keepalive_expiry=_KEPT),
            )
        return self._client


class _Progress:
    """Hears of httpcore's steps; ``sent`` once the request could have become whole at the other end."""

    def __init__(self, no_return: str) -> None:
        self._no_return = no_return
        self.sent = False

    async def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        if event == self._no_return:
            self.sent = True


async def _exchange(client: httpx.AsyncClient, ask: Ask, progress: _Progress) -> Reply | Unknown:
    headers = {"Accept-Encoding": "identity", "User-Agent": "doorstep", **ask.headers}
    request = client.build_request(
        ask.method, ask.url, headers=headers, content=ask.content or None, extensions={"trace": progress.trace}
    )
    answer = await client.send(request, stream=True)
    try:
        body = b""
        async for part in answer.aiter_raw():
            body += part
            if len(body) > MOST_BYTES:
                return Unknown("answer_too_long")
    finally:
        await answer.aclose()
    return Reply(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)


def _why(fault: Exception) -> str:
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate_not_trusted"
        cause = cause.__cause__ or cause.__context__
    return "cannot_connect" if isinstance(fault, httpx.ConnectError | httpx.ProxyError) else "connection_lost"

"""A web face on its own port, in the daemon's event loop (uvicorn, told to leave signals and logs to the daemon)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""For the head of a request: line and headers, 32 KiB at most."""

BODY_SECONDS = 60.0
"""For a body, read or not: those who read one are less patient (:mod:`web.body`, :mod:`web.pages.guard`)."""
_KEEP_ALIVE_SECONDS = 15
_MOST_REQUESTS_AT_A_TIME = 512


class _Prompt(H11Protocol):
    """Closes a connection on which a head or a body does not come in time: uvicorn itself waits for ever.

    A body that nobody reads counts, too: answered already, its connection would stay open for as long as a byte comes
    now and then, and take one of those that may be open at a time.
    """

    _due: asyncio.TimerHandle | None = None
    _awaited: type | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """See whether that was the rest of a head, or the beginning of the next."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._wait_no_longer()

    def _watch(self) -> None:
        state = self.conn.their_state
        if state is not self._awaited:
            self._wait_no_longer()
            self._awaited = state
        seconds = {h11.IDLE: HEAD_SECONDS, h11.SEND_BODY: BODY_SECONDS}.get(state)
        if self._due is None and seconds is not None:
            self._due = self.loop.call_later(seconds, self.transport.close)

    def _wait_no_longer(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


class _Quiet(uvicorn.Server):
    """Signals belong to the daemon's supervisor: a second handler would stop the web before the listeners drain."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them alone."""
        yield


class WebFace:
    """One port with one application behind it."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._host = host
        self._port = port
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,  # paths may carry what no log may (SPEC 7)
            server_header=False,
            proxy_headers=False,  # whose word is taken is configured, and not every neighbour's
            date_header=True,
            lifespan="off",
            ws="none",
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            limit_concurrency=_MOST_REQUESTS_AT_A_TIME,
            http=_Prompt,
            h11_max_incomplete_event_size=32 << 10,
        )
        self._server = _Quiet(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Open the port and give its number (any free one for port 0). Raises OSError when it cannot be had."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self._host, self._port))
        except OSError:
            listening.close()
            raise
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        while not self._server.started:
            if self._task.done():
                await self._task
                raise OSError("the web server ended at its start")
            await asyncio.sleep(0.005)
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Finish the requests in hand, then close."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task

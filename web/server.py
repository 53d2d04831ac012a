"""A web face on its own port, in the daemon's event loop (uvicorn, told to leave signals and logs to the daemon)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

_KEEP_ALIVE_SECONDS = 15
_MOST_REQUESTS_AT_A_TIME = 512


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
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            limit_concurrency=_MOST_REQUESTS_AT_A_TIME,
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

"""A small HTTP/1.1 server (h11) that can do what a web framework keeps from happening: go away without an answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import h11
import msgspec
from msgspec import Struct

_READ: Final = 65536


class Request(Struct, frozen=True):
    """What was asked: header names in lower case; of a repeated query parameter the first."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return msgspec.json.decode(self.body)
        except msgspec.DecodeError:
            return None

    @property
    def bearer(self) -> str:
        """The token of its Authorization header."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")


class Answer(Struct, frozen=True):
    """What is said; ``content`` is encoded as JSON unless it is bytes."""

    status: int
    content: Any = b""
    headers: Mapping[str, str] = {}


Handler = Callable[[Request], Awaitable[Answer | None]]
"""Gives the answer, or None to end the connection with none."""


class HttpServer:
    """One port with one handler behind it."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.connections = 0

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port. Raises OSError."""
        self._server = await asyncio.start_server(self._accepted, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Listen no more, and cut every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin a conversation; one that is cancelled before its first step closes its connection as well."""
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, h11.RemoteProtocolError):
            await self._requests(reader, writer)

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = h11.Connection(h11.SERVER)
        while (request := await _next_request(session, reader)) is not None:
            answer = await self._handler(request)
            if answer is None:
                return
            writer.write(_answered(session, answer))
            await writer.drain()
            if session.our_state is not h11.DONE or session.their_state is not h11.DONE:
                return
            session.start_next_cycle()


async def _next_request(session: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    head, body = None, b""
    while True:
        event = session.next_event()
        if event is h11.NEED_DATA:
            session.receive_data(await reader.read(_READ))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return _request(head, body)
        else:
            return None


def _request(head: h11.Request, body: bytes) -> Request:
    target = urlsplit(bytes(head.target).decode("ascii"))
    headers = {bytes(name).decode("ascii"): bytes(value).decode("latin-1") for name, value in head.headers}
    query = {name: values[0] for name, values in parse_qs(target.query).items()}
    return Request(bytes(head.method).decode("ascii"), target.path, query, headers, body)


def _answered(session: h11.Connection, answer: Answer) -> bytes:
    content = answer.content if isinstance(answer.content, bytes) else msgspec.json.encode(answer.content)
    headers = {"content-type": "application/json", **answer.headers, "content-length": str(len(content))}
    head = h11.Response(status_code=answer.status, headers=list(headers.items()))
    parts = (session.send(head), session.send(h11.Data(data=content)), session.send(h11.EndOfMessage()))
    return b"".join(part or b"" for part in parts)

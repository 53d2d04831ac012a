"""The web server's own patience: who sends slowly, or nothing, holds no connection for ever."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from invites.channels.loop_thread import LoopThread
from tests.support.patience import SAFETY
from web import server
from web.body import BodyTooLarge, BodyTooSlow, read_body
from web.server import WebFace


async def _echo(request: Request) -> PlainTextResponse:
    try:
        body = await read_body(request, 100, seconds=1.0)
    except BodyTooLarge:
        return PlainTextResponse("too large", 413, headers={"connection": "close"})
    except BodyTooSlow:
        return PlainTextResponse("too slow", 408, headers={"connection": "close"})
    return PlainTextResponse(body)


async def _unread(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("unread")


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(server, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(server, "BODY_SECONDS", 3.0)
    loop = LoopThread("face")
    app = Starlette(routes=[Route("/", _echo, methods=["GET", "POST"]), Route("/unread", _unread)])

    async def started() -> tuple[WebFace, int]:
        face = WebFace(app, "127.0.0.1", 0)
        return face, await face.start()

    face, bound = loop.run(started, SAFETY)
    yield bound
    loop.close(face.stop, SAFETY)


def connection(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=SAFETY)


def rest(wire: socket.socket) -> bytes:
    """All that comes until the server closes."""
    said = b""
    while chunk := wire.recv(65536):
        said += chunk
    return said


@pytest.mark.parametrize("begun", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: "])
def test_half_a_head_is_not_waited_for(port: int, begun: bytes) -> None:
    with connection(port) as wire:
        wire.sendall(begun)
        assert rest(wire) == b""


def test_half_a_second_head_is_not_waited_for_either(port: int) -> None:
    with connection(port) as wire:
        wire.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\nGET / HT")
        said = rest(wire)
    assert said.startswith(b"HTTP/1.1 200")
    assert said.count(b"HTTP/1.1") == 1


def test_a_body_that_does_not_come(port: int) -> None:
    with connection(port) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
        assert rest(wire).startswith(b"HTTP/1.1 408")


def test_a_body_that_nobody_reads_keeps_no_connection_for_ever(port: int) -> None:
    """A byte after the answer ended uvicorn's own patience: the connection stayed, one of 512, for nothing."""
    with connection(port) as wire:
        wire.sendall(b"GET /unread HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n")
        said = b""
        while b"unread" not in said and (chunk := wire.recv(65536)):
            said += chunk
        with contextlib.suppress(OSError):
            wire.sendall(b"x")
        assert rest(wire) == b""


def test_bodies_that_are_too_long_and_one_that_is_just_right(port: int) -> None:
    with connection(port) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 101\r\n\r\n" + b"x" * 101)
        assert rest(wire).startswith(b"HTTP/1.1 413")
    with connection(port) as wire:
        head = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        wire.sendall(head + b"65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n")
        assert rest(wire).startswith(b"HTTP/1.1 413")
    with connection(port) as wire:
        wire.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n" + b"x" * 100)
        assert rest(wire).endswith(b"x" * 100)

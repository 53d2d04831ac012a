"""Connections that never ask, or ask a byte at a time, are closed; those that are quiet between requests stay."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from web import server
from web.server import WebFace

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def talk(monkeypatch: pytest.MonkeyPatch, with_it: Talk, seconds: float = 1.0) -> None:
    """Open a face with so short a patience, connect, and talk."""
    monkeypatch.setattr(server, "HEAD_SECONDS", seconds)

    async def home(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    async def run() -> None:
        face = WebFace(Starlette(routes=[Route("/", home)]), "127.0.0.1", 0)
        port = await face.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await with_it(reader, writer)
        finally:
            writer.close()
            await face.stop()

    asyncio.run(run())


@pytest.mark.parametrize("begun", [b"", REQUEST[:-2], REQUEST[:1]])
def test_a_head_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    async def wait_for_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begun)
        assert await reader.read() == b""

    talk(monkeypatch, wait_for_the_end)


def test_a_second_head_has_no_more_time_than_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask_once_and_a_half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REQUEST)
        await reader.readuntil(b"hello")
        writer.write(REQUEST[:-2])
        assert await reader.read() == b""

    talk(monkeypatch, ask_once_and_a_half)


def test_whole_requests_are_answered_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask_thrice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(3):
            writer.write(REQUEST[:7])
            await writer.drain()
            writer.write(REQUEST[7:])
            await reader.readuntil(b"hello")

    talk(monkeypatch, ask_thrice, seconds=30)

"""Receivers that store nothing, each in a process of its own: what the two libraries' own servers can do at most.

``python-hl7``: its asyncio MLLP server as its documentation shows it, which parses each message and answers with
``create_ack``. ``hl7apy``: its ``MLLPServer`` with a handler that parses and builds the acknowledgment; it closes each
connection after one message. ``hl7apy-unparsed``: the same server with a handler that parses nothing and writes the
acknowledgment by hand. ``at-once``: nothing but framing and a constant answer, to see what the load generator can do.

A server prints its port and serves until its standard input ends, so it never outlives who started it.

    python -m benchmarks.bare_servers python-hl7
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Final

_ACK: Final = b"\x0bMSH|^~\\&|DOORSTEP|RX1|PAS|RX1|20260301083015||ACK^A28^ACK|1|P|2.5.1\rMSA|AA|1\r\x1c\r"
_BACKLOG: Final = 512


class _AtOnce(asyncio.Protocol):
    """Answers each end of a frame."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer as many frames as end here. An end in two pieces is missed: loopback does not cut 900 bytes."""
        self._transport.write(_ACK * data.count(b"\x1c\r"))


async def _at_once() -> None:
    loop = asyncio.get_running_loop()
    await _serve(await loop.create_server(_AtOnce, "127.0.0.1", 0, backlog=_BACKLOG))


async def _python_hl7() -> None:
    from hl7.mllp import start_hl7_server  # noqa: PLC0415 (each process loads its own library alone)

    await _serve(await start_hl7_server(_converse, "127.0.0.1", 0, encoding="utf-8", backlog=_BACKLOG))


async def _converse(reader: Any, writer: Any) -> None:
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while not reader.at_eof():
            message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    writer.close()


async def _serve(server: asyncio.Server) -> None:
    _announce(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _hl7apy(reply: Callable[[str], str]) -> Callable[[], None]:
    def serve() -> None:
        from hl7apy import mllp  # noqa: PLC0415 (likewise)

        class Handler(mllp.AbstractHandler):  # type: ignore[misc]
            def reply(self) -> str:
                return reply(self.incoming_message)

        class Server(mllp.MLLPServer):  # type: ignore[misc]
            request_queue_size = _BACKLOG  # its own 5 would have connections wait a second to be taken
            daemon_threads = True

        with Server("127.0.0.1", 0, {"ADT^A28^ADT_A05": (Handler,)}) as server:
            _announce(server.server_address[1])
            server.serve_forever()

    return serve


def _built(text: str) -> str:
    from hl7apy.core import Message  # noqa: PLC0415 (likewise)
    from hl7apy.parser import parse_message  # noqa: PLC0415 (likewise)

    header = parse_message(text).msh
    answer: Any = Message("ACK", version="2.5.1")
    answer.msh.msh_3, answer.msh.msh_4 = header.msh_5.value, header.msh_6.value
    answer.msh.msh_5, answer.msh.msh_6 = header.msh_3.value, header.msh_4.value
    answer.msh.msh_9 = "ACK^A28^ACK"
    answer.msh.msh_10 = header.msh_10.value
    answer.msh.msh_11 = "P"
    answer.msa.msa_1 = "AA"
    answer.msa.msa_2 = header.msh_10.value
    return str(answer.to_mllp())


def _written(text: str) -> str:
    fields = text.split("|", 10)
    return (
        f"\x0bMSH|^~\\&|{fields[4]}|{fields[5]}|{fields[2]}|{fields[3]}|20260301083015||ACK^A28^ACK|{fields[9]}|P|2.5.1"
        f"\rMSA|AA|{fields[9]}\r\x1c\r"
    )


def _looping(serve: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(serve())  # type: ignore[arg-type]

    return run


def _announce(port: int) -> None:
    print(port, flush=True)


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


SERVERS: Final[dict[str, Callable[[], None]]] = {
    "at-once": _looping(_at_once),
    "python-hl7": _looping(_python_hl7),
    "hl7apy": _hl7apy(_built),
    "hl7apy-unparsed": _hl7apy(_written),
}

if __name__ == "__main__":
    threading.Thread(target=_end_with_input, daemon=True).start()
    SERVERS[sys.argv[1]]()

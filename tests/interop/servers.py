"""Listeners that are not ours, as small as their libraries' own examples make them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import hl7.mllp
from hl7apy.core import Message
from hl7apy.mllp import AbstractErrorHandler, AbstractHandler, MLLPServer

from invites.channels.loop_thread import LoopThread
from tests.support.patience import SAFETY


@contextlib.contextmanager
def python_hl7_server() -> Iterator[int]:
    """python-hl7's asyncio server, which answers AA to whatever it can parse; gives its port."""
    loop = LoopThread("python-hl7")

    async def serve(reader: Any, writer: Any) -> None:
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                writer.writemessage(message.create_ack())
                await writer.drain()
        except Exception:  # noqa: BLE001, S110 (what it cannot read ends the connection, as its documentation has it)
            pass
        finally:
            writer.close()

    async def start() -> Any:
        # Its connections end in exceptions; that is its way.
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        return await hl7.mllp.start_hl7_server(serve, "127.0.0.1", 0, limit=1 << 24)

    server = loop.run(start, SAFETY)

    async def end() -> None:
        server.close()

    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.close(end, SAFETY)


class _Accepting(AbstractHandler):  # type: ignore[misc]  # the library has no types
    """Answers AA; hl7apy's handlers give the whole frame."""

    def reply(self) -> str:
        return _acknowledgment(self.incoming_message, "AA")


class _Refusing(AbstractErrorHandler):  # type: ignore[misc]  # the library has no types
    def reply(self) -> str:
        return _acknowledgment(self.incoming_message, "AR")


def _acknowledgment(text: str, code: str) -> str:
    fields = text.split("\r", maxsplit=1)[0].split(text[3:4])
    answer = Message("ACK", version="2.5")
    answer.msh.msh_9 = "ACK"
    answer.msh.msh_10 = "1"
    answer.msh.msh_11 = "P"
    answer.msa.msa_1 = code
    answer.msa.msa_2 = fields[9] if len(fields) > 9 else ""
    mllp: str = answer.to_mllp()
    return mllp


class _Quiet(MLLPServer):  # type: ignore[misc]  # the library has no types
    """hl7apy's server; what its handlers raise is not printed over the tests."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        del request, client_address


@contextlib.contextmanager
def hl7apy_server() -> Iterator[int]:
    """hl7apy's threading server, which takes A28 and refuses the rest, and closes after each message."""
    handlers = {"ADT^A28": (_Accepting,), "ERR": (_Refusing,)}
    with _Quiet("127.0.0.1", 0, handlers, timeout=10) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(SAFETY)

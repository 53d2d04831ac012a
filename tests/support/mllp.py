"""Both ends of an MLLP wire for tests: a plain socket that may misbehave, and a receiver that follows a script.

:class:`Wire` is blocking and knows nothing of good manners: it sends any bytes in any pieces, half-closes, resets.
:class:`ScriptedReceiver` is the peer of our client: a list of what to do with each frame that arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from hl7_listener.framing import Frame, FrameDecoder, encode

SAFETY = 60.0
"""Seconds after which a test that waits is hung; nothing is ever measured by it."""


class Wire:
    """A client's socket under the test's full control."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, tls: ssl.SSLContext | None = None) -> None:
        self.socket: socket.socket = socket.create_connection((host, port), timeout=SAFETY)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=host)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._decoder = FrameDecoder()
        self._frames: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def write(self, *chunks: bytes) -> None:
        """Send raw bytes, each chunk in a packet of its own as far as the kernel allows."""
        for chunk in chunks:
            self.socket.sendall(chunk)

    def send(self, *messages: bytes) -> None:
        """Send messages, framed, all in one write."""
        self.socket.sendall(b"".join(map(encode, messages)))

    def receive(self) -> bytes:
        """Wait for one answer. Raises EOFError when the peer closes instead, also by a reset."""
        while not self._frames:
            data = self._read()
            if not data:
                raise EOFError
            self._frames.extend(event.payload for event in self._decoder.feed(data) if isinstance(event, Frame))
        return self._frames.pop(0)

    def exchange(self, message: bytes) -> bytes:
        """Send one message and wait for its answer."""
        self.send(message)
        return self.receive()

    def remaining(self) -> list[bytes]:
        """Give all answers up to the end of the connection, which is waited for."""
        answers = []
        with contextlib.suppress(EOFError):
            while True:
                answers.append(self.receive())
        return answers

    def half_close(self) -> None:
        """Say that no more will come, and go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with a TCP reset, as a crashed engine or a firewall does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _read(self) -> bytes:
        try:
            return self.socket.recv(1 << 16)
        except ConnectionError:
            return b""


def msa(answer: bytes) -> tuple[str, str, str]:
    """Give MSA-1, MSA-2 and MSA-3 of an acknowledgment, raw."""
    for segment in answer.split(b"\r"):
        if segment.startswith(b"MSA"):
            fields = [*segment.decode("latin-1").split(answer[3:4].decode("latin-1")), "", "", ""]
            return fields[1], fields[2], fields[3]
    raise AssertionError("an answer without MSA")


def acknowledge(message: bytes, code: str = "AA", text: str = "") -> bytes:
    """Build the least acknowledgment of a message, for receivers that are not ours."""
    control_id = message.split(b"\r")[0].split(message[3:4])[9]
    return b"MSH|^~\\&|||||20260101||ACK|x|P|2.5\rMSA|%b|%b|%b\r" % (code.encode(), control_id, text.encode())


Step = Callable[[bytes], bytes | None]
"""What to write back for a message; None closes the connection instead."""


def drop(_message: bytes) -> None:
    """Close the connection without an answer: what a receiver does that could not store."""


def silent(_message: bytes) -> bytes:
    """Answer nothing, and keep the connection."""
    return b""


def answer(code: str = "AA") -> Step:
    """Answer with that code."""
    return lambda message: encode(acknowledge(message, code))


class ScriptedReceiver:
    """A receiver that does one step of its script for each message, over all connections, then answers AA."""

    def __init__(self, script: Iterable[Step] = ()) -> None:
        self.script: list[Step] = list(script)
        self.received: list[bytes] = []
        self.by_connection: list[list[bytes]] = []
        self.port = 0

    @asynccontextmanager
    async def listening(self, tls: ssl.SSLContext | None = None) -> AsyncIterator[Self]:
        """Listen on a free port of the loopback interface."""
        conversations: dict[asyncio.Task[None], asyncio.WriteTransport] = {}

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
            conversations[task] = writer.transport

        server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            async with server:
                yield self
        finally:
            for task, transport in conversations.items():
                task.cancel()
                transport.abort()
            await asyncio.gather(*conversations, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mine: list[bytes] = []
        self.by_connection.append(mine)
        decoder = FrameDecoder()
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(1 << 16):
                for event in decoder.feed(data):
                    if not isinstance(event, Frame) or not self._respond(event.payload, mine, writer):
                        writer.close()
                        return
                await writer.drain()
        writer.close()

    def _respond(self, message: bytes, mine: list[bytes], writer: asyncio.StreamWriter) -> bool:
        self.received.append(message)
        mine.append(message)
        reply = (self.script.pop(0) if self.script else answer())(message)
        if reply:
            writer.write(reply)
        return reply is not None

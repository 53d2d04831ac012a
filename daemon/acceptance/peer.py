"""One connection to the listener under test: bytes in any pieces out, frames in, and no patience without end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from hl7_listener.framing import Frame, FrameDecoder, encode

_LARGEST_ANSWER: Final = 16 << 20


class Target(Struct, frozen=True):
    """The listener under test.

    ``patience`` is how many seconds an answer may take, ``quiet`` how many without one count as silence.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    patience: float = 5.0
    quiet: float = 1.5


class Peer:
    """A connection; made by connecting. Raises OSError when it cannot be had."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket: socket.socket = socket.create_connection((target.host, target.port), timeout=target.patience)
        if target.tls is not None:
            self._socket = target.tls.wrap_socket(self._socket, server_hostname=target.host)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._decoder = FrameDecoder(_LARGEST_ANSWER)
        self._frames: list[bytes] = []
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def write(self, *chunks: bytes, pause: float = 0.0) -> None:
        """Write each chunk by itself; what the other side does not take is not written, and shows in its answers."""
        for chunk in chunks:
            try:
                self._socket.settimeout(self._target.patience)
                self._socket.sendall(chunk)
            except OSError:
                return
            if pause:
                time.sleep(pause)

    def send(self, *messages: bytes) -> None:
        """Write messages in frames, all at once."""
        self.write(b"".join(map(encode, messages)))

    def answer(self) -> bytes:
        """The next answer, waited for; empty when none came in time or the other side closed."""
        return self._next(self._target.patience)

    def silence(self) -> bytes:
        """An answer that should not come; empty when it did not."""
        return self._next(self._target.quiet)

    def answers(self, most: int) -> list[bytes]:
        """So many answers, or fewer if no more come."""
        found: list[bytes] = []
        while len(found) < most and (answer := self.answer()):
            found.append(answer)
        return found

    def half_close(self) -> None:
        """Say that no more will come, where the transport can."""
        if self._target.tls is None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_WR)

    def is_closed(self) -> bool:
        """Whether the other side has closed, waiting for it a little."""
        return self.closed or (not self._next(self._target.quiet) and self.closed)

    def _next(self, seconds: float) -> bytes:
        ends = time.monotonic() + seconds
        while not self._frames and not self.closed:
            remaining = ends - time.monotonic()
            if remaining <= 0:
                return b""
            self._read(remaining)
        return self._frames.pop(0) if self._frames else b""

    def _read(self, seconds: float) -> None:
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return
        except OSError:
            data = b""
        if not data:
            self.closed = True
        self._frames += [event.payload for event in self._decoder.feed(data) if isinstance(event, Frame)]

"""The process that checks: ``python -m hl7_listener.conformance_worker``, one for a daemon, started by it.

hl7apy holds the interpreter for as long as it likes, so it gets an interpreter of its own, at the lowest place in the
queue for a processor. Its standard input is one end of a socket pair: a request in, an answer out, one at a time, until
the other end closes. It ends itself when a check takes far too long and nobody is left to end it; it writes nothing to
disk, not even the picture of a crash.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from typing import Final

import msgspec

from hl7_listener.finding import Finding
from patient_records.model import Masked

LONGEST_ANSWER: Final = 1 << 20
_NICE: Final = 10
_MOST_MEMORY: Final = 512 << 20
"""Bytes of address space: far from what a message within the limits needs, and a bound where one needs more."""
_PREFIX: Final = 4
_MOST_PATHS: Final = 64 << 10
_PATIENCE: Final = 60
"""Seconds; the daemon's own deadline is far below and ends a check first, as long as there is a daemon."""


class CheckRequest(Masked, msgspec.Struct, frozen=True, array_like=True):
    """One message to check, the codec that it was read with, and the paths of message profiles."""

    raw: bytes
    charset: str
    profiles: tuple[str, ...] = ()


Answer = tuple[Finding, ...]


def packed(value: CheckRequest | Answer) -> bytes:
    """One frame: the length in four bytes, then the value."""
    body = msgspec.msgpack.encode(value)
    return len(body).to_bytes(_PREFIX, "big") + body


def receive(peer: socket.socket, most: int) -> bytes:
    """Receive one frame's body. Raises EOFError when the peer has closed, OSError as the socket does."""
    length = int.from_bytes(_exactly(peer, _PREFIX), "big")
    if length > most:
        raise EOFError
    return _exactly(peer, length)


def _exactly(peer: socket.socket, count: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < count:
        piece = peer.recv(count - len(pieces))
        if not piece:
            raise EOFError
        pieces += piece
    return bytes(pieces)


def _serve(peer: socket.socket) -> None:
    from hl7_listener.conformance import check  # noqa: PLC0415 (after the limits; the daemon never imports hl7apy)
    from hl7_listener.finding import MOST_BYTES  # noqa: PLC0415

    while True:
        request = msgspec.msgpack.decode(receive(peer, MOST_BYTES + _MOST_PATHS), type=CheckRequest)
        signal.alarm(_PATIENCE)
        findings = check(request.raw, charset=request.charset, profiles=request.profiles)
        signal.alarm(0)
        peer.sendall(packed(findings))


def main() -> None:
    """Serve the daemon on standard input until it closes."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal tells the daemon, and the daemon closes the pair
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # a lower limit is in force already
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    os.nice(_NICE)
    with socket.socket(fileno=0) as peer, contextlib.suppress(EOFError, OSError):
        _serve(peer)


if __name__ == "__main__":
    main()

"""A TLS handshake with somebody whom nobody knows yet: bounded, counted, and over before a byte of HL7 is looked at.

It begins after the peer's address was found allowed, on a transport that has not been read from. What the peer sends
with its last handshake record is kept until the connection takes over.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final

from hl7_listener.tls import TlsSide, is_allowed, why

_GOODBYE: Final = 1.0
"""Seconds that a closing waits for the peer's own: many never say it, and a stop must not wait for them."""


class Handshake(asyncio.Protocol):
    """Holds the place of a connection until it is secured. One of the two functions is called, once.

    ``begin`` gets the secured transport and is to set its own protocol on it; ``refuse`` a reason for the counters,
    empty where the peer just left.
    """

    def __init__(
        self, side: TlsSide, begin: Callable[[asyncio.Transport], asyncio.Protocol], refuse: Callable[[str], None]
    ) -> None:
        self._side = side
        self._begin = begin
        self._refuse = refuse
        self._early: list[bytes] = []
        self._raw: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = self._lost = False

    def start(self, transport: asyncio.Transport) -> None:
        """Begin, on a transport that was just made."""
        transport.pause_reading()
        self._raw = transport
        self._task = asyncio.get_running_loop().create_task(self._run(transport))

    def data_received(self, data: bytes) -> None:
        """Keep what comes before the connection has taken over."""
        self._early.append(data)

    def eof_received(self) -> None:
        """Note that the peer has said all."""
        self._ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the peer has left."""
        del exc
        self._lost = True

    def abort(self) -> None:
        """End it: the listener stops."""
        if self._raw is not None:
            self._raw.abort()

    async def _run(self, transport: asyncio.Transport) -> None:
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                self,
                self._side.context,
                server_side=True,
                ssl_handshake_timeout=self._side.options.handshake_timeout.total_seconds(),
                ssl_shutdown_timeout=_GOODBYE,
            )
        except (OSError, EOFError) as error:
            transport.abort()
            self._refuse(why(error))
            return
        if secured is None or self._lost:
            transport.abort()
            self._refuse("")
            return
        if not self._knows(secured):
            secured.close()
            self._refuse("subject_not_allowed")
            return
        self._hand_over(secured)

    def _knows(self, secured: asyncio.Transport) -> bool:
        peer = secured.get_extra_info("ssl_object")
        certificate = peer.getpeercert() if isinstance(peer, ssl.SSLObject) else None
        return is_allowed(certificate, self._side.options.allowed)

    def _hand_over(self, secured: asyncio.Transport) -> None:
        protocol = self._begin(secured)
        for data in self._early:
            protocol.data_received(data)
        if self._ended:
            protocol.eof_received()

"""A listener: its port, its connections, and their orderly end."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from hl7_listener.arrival import Taker
from hl7_listener.budget import ByteBudget
from hl7_listener.connection import Connection
from hl7_listener.guarded_telemetry import GuardedTelemetry
from hl7_listener.handshake import Handshake
from hl7_listener.options import ListenerOptions
from hl7_listener.telemetry import Telemetry
from hl7_listener.tls import TlsSide

_BACKLOG: Final = 512
"""Connections that the system may hold before they are accepted: a restart meets every sender at once."""


class Listener:
    """One configured listener. Lives in the event loop that starts it; with ``tls`` it speaks nothing else."""

    def __init__(
        self,
        options: ListenerOptions,
        ingest: Taker,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        tls: TlsSide | None = None,
    ) -> None:
        self.options = options
        self.tls = tls
        self._ingest = ingest
        self._telemetry = GuardedTelemetry(telemetry)
        self._clock = clock
        self._budget = ByteBudget(options.byte_budget)
        self._connections: set[Connection] = set()
        self._handshakes: dict[Connection, Handshake] = {}
        self._empty = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.draining = False

    async def start(self) -> int:
        """Open the port and give its number (any free one for port 0). Raises OSError when it cannot be had."""
        loop = asyncio.get_running_loop()
        host, port = self.options.host, self.options.port
        self._server = await loop.create_server(self._protocol, host, port, backlog=_BACKLOG)
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._connections)

    def _protocol(self) -> asyncio.Protocol:
        connection = Connection(
            listener=self.options,
            ingest=self._ingest,
            budget=self._budget,
            telemetry=self._telemetry,
            clock=self._clock,
            on_lost=self._lost,
        )
        return Doorkeeper(self, connection)

    def admit(self, connection: Connection, peer: str) -> str:
        """Take a connection in; else give the reason why not (``full``, ``not_allowed``)."""
        if self.options.allow and not self._is_allowed(peer):
            return "not_allowed"
        if len(self._connections) >= self.options.max_connections:
            return "full"
        self._connections.add(connection)
        return ""

    def refused(self, reason: str) -> None:
        """Count a connection that was turned away."""
        self._telemetry.refused_connection(self.options.name, reason)

    def _is_allowed(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self.options.allow)

    def secure(self, connection: Connection, transport: asyncio.Transport, tls: TlsSide) -> None:
        """Have a handshake with a peer that was taken in, then begin its connection."""

        def begin(secured: asyncio.Transport) -> Connection:
            del self._handshakes[connection]
            _begin(self, connection, secured)
            return connection

        def refuse(reason: str) -> None:
            if reason:
                self.refused(reason)
            del self._handshakes[connection]
            self._lost(connection)

        handshake = self._handshakes[connection] = Handshake(tls, begin, refuse)
        handshake.start(transport)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._empty.set()

    async def drain(self, deadline: timedelta) -> bool:
        """Take no new connection, answer what was read, close; whether all of it ended within the deadline."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        self._empty.clear()
        for handshake in self._handshakes.values():
            handshake.abort()
        for connection in tuple(self._connections):
            connection.drain()
        if not self._connections:
            return True
        try:
            await asyncio.wait_for(self._empty.wait(), deadline.total_seconds())
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.abort()
            return False
        return True


class Doorkeeper(asyncio.Protocol):
    """Looks at a new connection before a byte of it is read, and hands it on or closes it."""

    def __init__(self, listener: Listener, connection: Connection) -> None:
        self._listener = listener
        self._connection = connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the peer or turn it away."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("MLLP needs a stream")
        peername = transport.get_extra_info("peername")
        peer = str(peername[0]) if peername else ""
        reason = self._listener.admit(self._connection, peer)
        if reason:
            self._listener.refused(reason)
            transport.close()
            return
        if self._listener.tls is None:
            _begin(self._listener, self._connection, transport)
        else:
            self._listener.secure(self._connection, transport, self._listener.tls)


def _begin(listener: Listener, connection: Connection, transport: asyncio.Transport) -> None:
    transport.set_protocol(connection)
    connection.connection_made(transport)
    if listener.draining:  # accepted by the system before the port was closed
        connection.drain()

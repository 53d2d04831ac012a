"""Connections to one mail server, kept from one mail to the next.

A new STARTTLS connection for each mail costs two thirds of the speed, so a connection is kept after its mail, the one
used last is taken first, and one that nobody needs for :data:`IDLE` seconds says QUIT. A server may close a connection
at any time; the loop hears of it, and one that is found closed only while it is used is replaced, for until the end of
the data nothing was sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from pathlib import Path
from typing import Final, Literal

import aiosmtplib
from aiosmtplib import SMTPAuthenticationError, SMTPException, SMTPHeloError, SMTPResponseException
from msgspec import Struct

from patient_records.model import Masked

IDLE: Final = 15.0
"""Seconds that a connection is kept unused: less than any server's patience (Exchange's: a minute or more)."""

MOST_MAILS: Final = 100
"""Mails over one connection: a common limit of servers, which then answer 421."""


class SmtpOptions(Masked, Struct, frozen=True):
    """Everything that was configured about the mail server.

    ``sender`` is the envelope's sender, to which bounces go: an address alone. ``timeout`` bounds a whole delivery in
    seconds and is less than half a lease. ``ca_file`` names the only authorities trusted, None those of the system.
    An empty ``username`` means no login. ``greeting`` is our name in EHLO, empty for the machine's.
    """

    host: str
    port: int
    sender: str
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: Path | None = None
    username: str = ""
    password: str = ""
    greeting: str = ""
    timeout: float = 25.0


_GOODBYE: Final = 5.0
"""Seconds for which a server is waited for that is told QUIT."""


class NotReady(Exception):
    """There is no connection to be had. ``code`` tells why; nothing was sent."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Client(aiosmtplib.SMTP):
    """Closes at once, also where it does so by itself (after QUIT, at a failed connection).

    A close over TLS waits for the peer's goodbye, which one that is silent never says: its socket stayed open.
    """

    def close(self) -> None:
        """Close, with nothing more written."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()
        super().close()


class Connection:
    """One session with the server, from after its login to QUIT."""

    def __init__(self, client: _Client) -> None:
        self.client = client
        self.mails = 0
        self.begun = False
        self.since = 0.0

    @property
    def fresh(self) -> bool:
        """Whether no mail has gone over it yet."""
        return self.mails == 0

    @property
    def usable(self) -> bool:
        """Whether another mail may go over it."""
        return self.client.is_connected and self.mails < MOST_MAILS

    def refused(self, code: int) -> None:
        """Note that the server said no: the next mail begins with RSET; after what could not be read none does."""
        self.mails += 1
        self.begun = True
        if code < 0:
            self.cut()

    def cut(self) -> None:
        """Close it at once, with nothing more written: what has no end yet never gets one."""
        self.client.close()

    async def quit(self, patience: float) -> None:
        """Say goodbye, for at most so many seconds."""
        try:
            async with asyncio.timeout(patience):
                await self.client.quit()
        except (SMTPException, OSError, TimeoutError):
            pass
        finally:
            self.cut()


class Connections:
    """The connections to one server. To be used in one event loop only."""

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._idle: list[Connection] = []
        self._goodbyes: set[asyncio.Task[None]] = set()
        self._context: ssl.SSLContext | None = None
        self._greeting = options.greeting or None
        self._reaper: asyncio.TimerHandle | None = None

    async def take(self, *, fresh: bool = False) -> Connection:
        """Give a connection that is logged in: a kept one, or with ``fresh`` surely a new one. Raises NotReady."""
        while self._idle and not fresh:
            kept = self._idle.pop()
            if kept.usable:
                return kept
            kept.cut()
        return await self._opened()

    def give_back(self, connection: Connection) -> None:
        """Keep it for the next mail, or end it if it has done its share; nobody waits for that end."""
        if not connection.usable:
            self._part_with(connection)
            return
        loop = asyncio.get_running_loop()
        connection.since = loop.time()
        self._idle.append(connection)
        if self._reaper is None:
            self._reaper = loop.call_later(IDLE, self._reap)

    async def close(self) -> None:
        """Say goodbye on all that are idle."""
        if self._reaper is not None:
            self._reaper.cancel()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(connection.quit(1.0) for connection in idle))

    def _reap(self) -> None:
        loop = asyncio.get_running_loop()
        oldest = loop.time() - IDLE
        over = [connection for connection in self._idle if connection.since <= oldest]
        self._idle = [connection for connection in self._idle if connection not in over]
        for connection in over:
            self._part_with(connection)
        self._reaper = loop.call_later(IDLE / 3, self._reap) if self._idle else None

    def _part_with(self, connection: Connection) -> None:
        """Say goodbye on it, beside whatever else goes on."""

        def said(task: asyncio.Task[None]) -> None:
            self._goodbyes.discard(task)
            with contextlib.suppress(asyncio.CancelledError):
                task.exception()

        task = asyncio.get_running_loop().create_task(connection.quit(_GOODBYE))
        self._goodbyes.add(task)
        task.add_done_callback(said)

    async def _opened(self) -> Connection:
        client = self._client()
        try:
            await client.connect()
            await _greet(client)
        except BaseException as fault:
            client.close()
            if isinstance(fault, Exception):
                raise NotReady(_why(fault)) from None
            raise
        self._greeting = client.local_hostname
        return Connection(client)

    def _client(self) -> _Client:
        options = self._options
        encrypted = options.tls != "none"
        if encrypted and self._context is None:
            try:
                self._context = ssl.create_default_context(cafile=options.ca_file)
            except OSError:  # an SSLError is one
                raise NotReady("smtp_ca_file_unreadable") from None
        return _Client(
            hostname=options.host,
            port=options.port,
            username=options.username or None,
            password=options.password if options.username else None,
            local_hostname=self._greeting,
            timeout=options.timeout,
            use_tls=options.tls == "implicit",
            start_tls=options.tls == "starttls",
            tls_context=self._context if encrypted else None,
        )


async def _greet(client: aiosmtplib.SMTP) -> None:
    """Say EHLO, if TLS and login have not, to hear what the server can; HELO to one that knows no better."""
    if not client.is_ehlo_or_helo_needed:
        return
    try:
        await client.ehlo()
    except SMTPHeloError:
        await client.helo()


def _why(fault: Exception) -> str:
    """Name what kept us from a session: a code, never the server's words."""
    if isinstance(fault, SMTPAuthenticationError):
        return f"smtp_login_{fault.code}"
    if isinstance(fault, SMTPResponseException):
        return f"smtp_connect_{fault.code}" if fault.code > 0 else "smtp_connect_garbled"
    for kind, code in _KINDS:
        if _caused_by(fault, kind):
            return code
    if isinstance(fault, OSError):
        return "smtp_cannot_connect"
    return "smtp_no_starttls" if "STARTTLS" in str(fault) else "smtp_cannot_log_in"


def _caused_by(fault: BaseException, kind: type[BaseException]) -> bool:
    cause: BaseException | None = fault
    while cause is not None:
        if isinstance(cause, kind):
            return True
        cause = cause.__cause__
    return False


_KINDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ssl.SSLCertVerificationError, "smtp_certificate_not_trusted"),
    (ssl.SSLError, "smtp_tls_failed"),
    (TimeoutError, "smtp_connect_timeout"),
    (ConnectionRefusedError, "smtp_connection_refused"),
)

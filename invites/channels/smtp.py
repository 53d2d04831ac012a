"""Email over SMTP: how far a delivery had come decides what its failure means.

Theory. A mail server takes responsibility for a message when it answers the end of its data (RFC 5321, 4.2.5 and 6.1).
So there is one moment that matters, and :class:`_Progress` marks it: the writing of the final ``CRLF . CRLF``.

* Whatever fails before it (connecting, TLS, login, MAIL, RCPT, DATA, the body itself) was certainly not sent. The body
  is written first and the end by itself, so that a server that goes away in the middle has certainly seen no end.
* After it the server's answer counts: 250 is *accepted*, a 4xx or 5xx is a no (:mod:`.smtp_reply` says whose). No
  answer, or one that nobody can read, is *unknown*: servers do go away between taking a message and saying so.

SMTP cannot be asked about a message later and does not deduplicate, so an unknown one waits for a person. What a bounce
says comes as a receipt: the envelope names the reference (ENVID, RFC 3461) where the server can carry it, asks for
failures only, and for the headers only, so that no bounce carries the codes back.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from datetime import timedelta
from functools import partial
from typing import Final

from aiosmtplib import SMTPException, SMTPResponse, SMTPResponseException

from invites.channels.channel import (
    EMAIL,
    Accepted,
    NotSent,
    Outcome,
    Refused,
    Request,
    Settlement,
    Unknown,
    is_reference,
)
from invites.channels.loop_thread import LoopThread
from invites.channels.smtp_connection import Connection, Connections, NotReady, SmtpOptions
from invites.channels.smtp_reply import SUCCESS, queue_id, refusal

CLOSING: Final = 421
"""The server closes this connection (RFC 5321, 3.8)."""

_GO_AHEAD: Final = 354
_ADDRESS: Final = re.compile(r"[!-~]{1,64}@[!-~]{1,255}").fullmatch
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_DOT: Final = re.compile(rb"(?m)^\.")


class _Progress:
    """How far a delivery has come: ``phase`` names the command under way, ``ended`` that the end of data is written."""

    def __init__(self) -> None:
        self.phase = "connect"
        self.ended = False

    def lost(self, why: str) -> NotSent | Unknown:
        """Say what a failure without an answer means by now."""
        return Unknown(f"smtp_{why}_after_data") if self.ended else NotSent(f"smtp_{why}_at_{self.phase}")


class _Reply(Exception):
    """The server said no, or something that cannot be read."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code)
        self.code = code
        self.text = text


class Smtp:
    """Sends mails through one server. Threads share a few connections, which live in a loop of their own."""

    name = "smtp"
    settlement = Settlement.NEITHER
    settle_after = timedelta(0)

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options
        self._connections = Connections(options)
        self._loop = LoopThread("smtp")

    def send(self, request: Request) -> Outcome:
        """Deliver the mail to the server; ends within the options' timeout."""
        if request.channel != EMAIL:
            return Refused("no_such_channel")
        if not is_reference(request.reference):
            return Refused("bad_reference")
        if not _ADDRESS(request.to):
            return Refused("bad_address")
        return self._loop.run(partial(self._deliver, request), self._options.timeout)

    def search(self, reference: str) -> Outcome:
        """Nobody can be asked; what cannot be a reference was never sent."""
        return Unknown("smtp_cannot_tell") if is_reference(reference) else NotSent("bad_reference")

    def close(self) -> None:
        """Say goodbye to the server, where a connection is open."""
        self._loop.close(self._connections.close, 2.0)

    async def _deliver(self, request: Request) -> Outcome:
        progress = _Progress()
        try:
            async with asyncio.timeout(self._options.timeout):
                return await self._over_some_connection(request, progress)
        except NotReady as fault:
            return NotSent(fault.code)
        except TimeoutError:
            return progress.lost("timeout")
        except _Reply as reply:
            unreadable = not 400 <= reply.code < 600  # noqa: PLR2004 (RFC 5321, 4.2.1)
            if progress.ended and unreadable:
                return Unknown("smtp_garbled_after_data")
            return refusal(progress.phase, reply.code, reply.text)
        except (SMTPException, OSError):
            return progress.lost("connection_lost")

    async def _over_some_connection(self, request: Request, progress: _Progress) -> Outcome:
        """Deliver over a kept connection; one that turns out to be dead before the end was written is replaced once."""
        connection = await self._connections.take()
        if not connection.fresh:
            try:
                return await self._over(connection, request, progress)
            except _Reply as reply:
                if progress.ended or reply.code != CLOSING:
                    raise
            except (SMTPException, OSError) as fault:
                if progress.ended or isinstance(fault, TimeoutError):
                    raise
            connection = await self._connections.take(fresh=True)
        return await self._over(connection, request, progress)

    async def _over(self, connection: Connection, request: Request, progress: _Progress) -> Outcome:
        """Deliver over this connection and keep it, unless it is in a state that nobody knows."""
        try:
            text = await _transaction(connection, self._options.sender, request, progress)
        except _Reply as reply:
            connection.refused(reply.code)
            self._connections.give_back(connection)
            raise
        except BaseException:
            connection.cut()
            raise
        connection.mails += 1
        self._connections.give_back(connection)
        return Accepted(queue_id(text, request.reference))


async def _transaction(connection: Connection, sender: str, request: Request, progress: _Progress) -> str:
    """Take one mail through MAIL, RCPT, DATA and the end; gives the text of the last reply. Raises _Reply."""
    client = connection.client
    progress.phase = "mail"
    if connection.begun:
        await _ask(client.rset())
        connection.begun = False
    asks = client.supports_extension("dsn")
    options = ["RET=HDRS", f"ENVID={request.reference}"] if asks else []
    await _ask(client.mail(sender, options=options))
    progress.phase = "rcpt"
    await _ask(client.rcpt(request.to, options=["NOTIFY=FAILURE"] if asks else []))
    progress.phase = "data"
    go_ahead = await _ask(client.execute_command(b"DATA"))
    protocol = client.protocol
    if go_ahead.code != _GO_AHEAD or protocol is None:
        raise _Reply(go_ahead.code, go_ahead.message)
    protocol.write(_stuffed(request.body))
    protocol.write(b".\r\n")  # raises, and writes nothing, if the connection is known to be gone by now
    progress.phase, progress.ended = "end", True
    reply = await _ask(protocol.read_response(client.timeout))
    if reply.code not in SUCCESS:
        raise _Reply(reply.code, reply.message)
    return reply.message


async def _ask(command: Awaitable[SMTPResponse]) -> SMTPResponse:
    """Wait for the reply. Raises _Reply for one that the library does not take for success."""
    try:
        return await command
    except SMTPResponseException as refused:
        raise _Reply(refused.code, refused.message) from None


def _stuffed(message: bytes) -> bytes:
    """Give the message as DATA carries it: lines end in CRLF, and one that begins with a dot gets another (4.5.2)."""
    lines = _LINE_END.sub(b"\r\n", message)
    return _DOT.sub(b"..", lines if lines.endswith(b"\r\n") else lines + b"\r\n")

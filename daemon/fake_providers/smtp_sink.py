"""An SMTP server that delivers to nobody (aiosmtpd), with STARTTLS, login and DSN parameters, and scripted trouble."""

from __future__ import annotations

import asyncio
import email.policy
import re
import ssl
from collections.abc import Callable
from email.parser import BytesParser
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from msgspec import Struct

from daemon.fake_providers.ledger import Ledger
from daemon.fake_providers.script import Act, Player

PROVIDER: Final = "smtp"

_DSN_PARAMETER: Final = re.compile(r" +(?:RET|ENVID|NOTIFY|ORCPT)=\S+", re.IGNORECASE)


class SinkOptions(Struct, frozen=True):
    """``tls``: starttls or implicit need a ``context``. With a ``username`` a login is asked for."""

    tls: str = "none"
    context: ssl.SSLContext | None = None
    username: str = ""
    password: str = ""
    dsn: bool = True


class SmtpSink:
    """One server. To be started and stopped in an event loop."""

    def __init__(self, player: Player, ledger: Ledger, options: SinkOptions) -> None:
        self._player = player
        self._ledger = ledger
        self._options = options
        self._server: asyncio.Server | None = None
        self._open: set[_Session] = set()
        self.connections = 0
        self.envelopes: list[tuple[list[str], list[str]]] = []

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port. Raises OSError."""
        context = self._options.context if self._options.tls == "implicit" else None
        self._server = await asyncio.get_running_loop().create_server(self._session, host, port, ssl=context)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Cut every connection and listen no more."""
        if self._server is not None:
            self._server.close()
            for session in list(self._open):
                session.abort()
            await self._server.wait_closed()

    def drop_all(self) -> None:
        """Close every open connection, as a server does that restarts."""
        for session in list(self._open):
            session.close()

    def _session(self) -> _Session:
        options = self._options
        return _Session(
            _Handler(self._player, self._ledger, options),
            hostname="sink.example",
            ident="doorstep",
            loop=asyncio.get_running_loop(),
            tls_context=options.context if options.tls == "starttls" else None,
            require_starttls=options.tls == "starttls",
            login_required=bool(options.username),
            auth_require_tls=options.tls == "starttls",
            authenticator=_authenticator(options),
            envelopes=self.envelopes,
            opened=self._opened,
            closed=self._open.discard,
        )

    def _opened(self, session: _Session) -> None:
        self.connections += 1
        self._open.add(session)


class _Session(SMTP):
    """aiosmtpd's session, which also takes DSN parameters and can go away in the middle."""

    def __init__(
        self,
        handler: _Handler,
        *,
        login_required: bool,
        envelopes: list[tuple[list[str], list[str]]],
        opened: Callable[[_Session], None],
        closed: Callable[[_Session], None],
        **options: Any,
    ) -> None:
        super().__init__(handler, **options)
        self._auth_required = login_required  # aiosmtpd warns of it without STARTTLS, where implicit TLS will do
        self._envelopes = envelopes
        self._story = handler
        self._on_opened = opened
        self._on_closed = closed
        self._wire: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._wire is None:  # STARTTLS comes here a second time
            self._on_opened(self)
        self._wire = transport
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._on_closed(self)
        super().connection_lost(error)

    def close(self) -> None:
        """End the connection as a server does that stops."""
        if self._wire is not None:
            self._wire.close()

    def abort(self) -> None:
        """End it without waiting for the peer, whose part in closing TLS may never come."""
        if isinstance(self._wire, asyncio.WriteTransport):
            self._wire.abort()

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802 (aiosmtpd finds commands by these names)
        self._envelopes.append((_parameters(arg), []))
        await super().smtp_MAIL(_without_dsn(arg))

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        if self._envelopes:
            self._envelopes[-1][1].extend(_parameters(arg))
        await super().smtp_RCPT(_without_dsn(arg))

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        act = self._story.act
        if act.at == "data" and act.do != "accept":
            await self.push(await self._story.play(self, ""))
            return
        if act.at == "body":
            await self.push("354 go ahead")
            await self._reader.readline()
            cut(self)
        await super().smtp_DATA(arg)


class _Handler:
    """What happens at each step of one session."""

    def __init__(self, player: Player, ledger: Ledger, options: SinkOptions) -> None:
        self._player = player
        self._ledger = ledger
        self._options = options
        self.act = Act()

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self._options.dsn:
            responses.insert(-1, "250-DSN")
        del server
        return responses

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.act = self._player.next()
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._at("mail", server, envelope)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await self._at("rcpt", server, envelope)
        if said.startswith("250"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(options)
        return said

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        reference = _reference(content)
        if self.act.do == "accept" or self.act.record:
            name = self._ledger.add(
                PROVIDER, "email", reference, ",".join(envelope.rcpt_tos), content.decode("latin-1")
            )
            if self.act.do == "accept":
                await asyncio.sleep(self.act.wait)
                return f"250 2.0.0 Ok: queued as {name}"
        return await self.play(server, "")

    async def _at(self, phase: str, server: SMTP, _envelope: Envelope) -> str:
        if self.act.at != phase or self.act.do == "accept":
            return "250 OK"
        return await self.play(server, "250 OK")

    async def play(self, server: SMTP, otherwise: str) -> str:
        """Do what the act says, here and now."""
        act = self.act
        await asyncio.sleep(act.wait)
        if act.do == "hang":
            await asyncio.Event().wait()
        if act.do == "drop":
            cut(server)
        return f"{act.status or 451} {act.text or 'scripted'}" if act.do == "answer" else otherwise


def cut(server: SMTP) -> None:
    """Close the connection with nothing more said."""
    if isinstance(server.transport, asyncio.WriteTransport):
        server.transport.abort()
    raise ConnectionResetError


def _parameters(arg: str | None) -> list[str]:
    return [word for word in (arg or "").split() if "=" in word]


def _without_dsn(arg: str | None) -> str | None:
    return None if arg is None else _DSN_PARAMETER.sub("", arg)


def _reference(content: bytes) -> str:
    message = BytesParser(policy=email.policy.default).parsebytes(content, headersonly=True)
    return str(message["Message-ID"] or "").strip("<> ").partition("@")[0]


def _authenticator(options: SinkOptions) -> Any:
    def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
        right = (options.username.encode(), options.password.encode())
        known = isinstance(data, LoginPassword) and (data.login, data.password) == right
        return AuthResult(success=known, handled=False)

    return check if options.username else None

"""A real SMTP server on a free port, in a loop of its own, that does as it is told."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Self

from daemon.fake_providers.ledger import Ledger
from daemon.fake_providers.script import Act, Part, Player
from daemon.fake_providers.smtp_sink import SinkOptions, SmtpSink
from invites.channels.loop_thread import LoopThread
from invites.channels.smtp import Smtp
from invites.channels.smtp_connection import SmtpOptions
from tests.support.patience import SAFETY

SENDER = "noreply@hospital.example"


class MailServer:
    """As a context manager it listens while inside."""

    def __init__(
        self,
        *acts: Act,
        tls: str = "none",
        context: ssl.SSLContext | None = None,
        username: str = "",
        password: str = "",
        dsn: bool = True,
    ) -> None:
        self.ledger = Ledger()
        self.player = Player(Part(steps=list(acts)))
        self.sink = SmtpSink(self.player, self.ledger, SinkOptions(tls, context, username, password, dsn))
        self.port = 0
        self._loop = LoopThread("mail-server")
        self._providers: list[Smtp] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for provider in self._providers:
            provider.close()
        self._loop.close(self.sink.stop, SAFETY)

    def start(self) -> None:
        """Listen."""

        async def start() -> int:
            return await self.sink.start("127.0.0.1", self.port)

        self.port = self._loop.run(start, SAFETY)

    def stop(self) -> None:
        """Listen no more, and cut every connection."""
        self._loop.run(self.sink.stop, SAFETY)

    def drop_all(self) -> None:
        """Cut every connection, and go on listening."""

        async def drop() -> None:
            self.sink.drop_all()

        self._loop.run(drop, SAFETY)

    def provider(self, **options: object) -> Smtp:
        """Give a provider that sends here."""
        plain: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "sender": SENDER, "tls": "none"}
        made = Smtp(SmtpOptions(**{**plain, "timeout": SAFETY, **options}))  # type: ignore[arg-type]
        self._providers.append(made)
        return made

    @property
    def references(self) -> list[str]:
        """Of everything that was accepted, in order."""
        return [entry.reference for entry in self.ledger.entries]

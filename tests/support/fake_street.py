"""The fake providers on free ports, in a loop of their own, and real providers that send there."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

from daemon.fake_providers.callbacks import CallbackOptions
from daemon.fake_providers.ledger import Ledger
from daemon.fake_providers.notify_api import FAKE_KEY
from daemon.fake_providers.script import Script
from daemon.fake_providers.street import Street, StreetOptions, StreetPorts
from invites.channels.gateway import Gateway, GatewayOptions, Search
from invites.channels.gateway_rules import read_rule
from invites.channels.http_call import HttpOptions
from invites.channels.loop_thread import LoopThread
from invites.channels.notify import Notify, NotifyOptions
from tests.support.patience import SAFETY

TEMPLATES = {"sms": "sms-template", "email": "email-template"}
NOT_SENT = tuple(read_rule(text) for text in ("3xx", "4xx"))
ACCEPTED = (read_rule("200 status=0"),)
FOUND_OR_ABSENT = (read_rule("200"),), (read_rule("404"),)


class FakeStreet:
    """As a context manager the fakes listen while inside."""

    def __init__(self, script: Script | None = None, **options: object) -> None:
        self.ledger = Ledger()
        self._options = options
        self._script = script or Script()
        self._loop = LoopThread("street")
        self._closing: list[Callable[[], None]] = []
        self._begun: list[Street] = []
        self.ports = StreetPorts(0, 0)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for close in self._closing:
            close()
        self._loop.close(self._begun[-1].stop, SAFETY)

    def start(self) -> None:
        """Listen, on the ports of before if there were any."""

        async def start() -> StreetPorts:
            options = StreetOptions(smtp_port=self.ports.smtp, http_port=self.ports.http, **self._options)  # type: ignore[arg-type]
            self._begun.append(Street(self._script, self.ledger, options))
            return await self._begun[-1].start()

        self.ports = self._loop.run(start, SAFETY)

    def stop(self) -> None:
        """Listen no more, and cut every connection."""
        self._loop.run(self._begun[-1].stop, SAFETY)

    def call_back(self, notify: CallbackOptions) -> None:
        """Tell receipts there from now on: who is called has ports of its own only once it knows ours."""
        self.stop()
        self._options["notify_callback"] = notify
        self.start()

    def play(self, script: Script) -> None:
        """Begin another script."""
        self._begun[-1].play(script)

    @property
    def url(self) -> str:
        """Where HTTP goes."""
        return f"http://127.0.0.1:{self.ports.http}"

    def notify(
        self,
        *,
        timeout: float = SAFETY,
        settle_after: timedelta = timedelta(0),
        clock: Callable[[], float] = time.time,
        **options: object,
    ) -> Notify:
        """Give a provider that sends to the Notify-like API."""
        plain: dict[str, object] = {"key": FAKE_KEY, "url": self.url, "templates": TEMPLATES}
        http = HttpOptions(timeout)
        made = Notify(NotifyOptions(**{**plain, **options}, settle_after=settle_after, http=http), clock)  # type: ignore[arg-type]
        self._closing.append(made.close)
        return made

    def gateway(
        self,
        *,
        timeout: float = SAFETY,
        searchable: bool = False,
        settle_after: timedelta = timedelta(0),
        **options: object,
    ) -> Gateway:
        """Give a provider that sends to the gateway."""
        plain: dict[str, object] = {
            "url": f"{self.url}/sms",
            "accepted": ACCEPTED,
            "not_sent": NOT_SENT,
            "reference_at": "id",
            "search": Search(f"{self.url}/sms?reference={{reference}}", *FOUND_OR_ABSENT, settle_after)
            if searchable
            else None,
        }
        made = Gateway(GatewayOptions(**{**plain, **options}, http=HttpOptions(timeout)))  # type: ignore[arg-type]
        self._closing.append(made.close)
        return made

    @property
    def references(self) -> list[str]:
        """Of everything that was accepted and kept, in order."""
        return [entry.reference for entry in self.ledger.entries if entry.kept]

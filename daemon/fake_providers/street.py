"""All the fake providers together, on two ports: SMTP, and HTTP for Notify, the gateway and the control of both."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from daemon.fake_providers.callbacks import CallbackOptions, Callbacks
from daemon.fake_providers.http_server import Answer, HttpServer, Request
from daemon.fake_providers.ledger import Ledger
from daemon.fake_providers.notify_api import FAKE_KEY, PREFIX, NotifyApi
from daemon.fake_providers.script import Player, Script
from daemon.fake_providers.sms_gateway import PATH, SmsGateway
from daemon.fake_providers.smtp_sink import SinkOptions, SmtpSink


class StreetPorts(Struct, frozen=True):
    """The bound ports."""

    smtp: int
    http: int


class StreetOptions(Struct, frozen=True):
    """How the fakes are set up. ``notify_callback`` and ``gateway_callback`` say where receipts go."""

    host: str = "127.0.0.1"
    smtp_port: int = 0
    http_port: int = 0
    notify_key: str = FAKE_KEY
    notify_callback: CallbackOptions = CallbackOptions()
    gateway_callback: CallbackOptions = CallbackOptions()
    sink: SinkOptions = SinkOptions()


class Street:
    """The fake providers. To be started and stopped in an event loop."""

    def __init__(self, script: Script, ledger: Ledger, options: StreetOptions) -> None:
        self._options = options
        self._ledger = ledger
        self._players = {
            "smtp": Player(script.smtp),
            "notify": Player(script.notify),
            "gateway": Player(script.gateway),
        }
        self._callbacks = Callbacks()
        self._notify = NotifyApi(
            self._players["notify"], ledger, self._callbacks, options.notify_callback, options.notify_key
        )
        self._gateway = SmsGateway(self._players["gateway"], ledger, self._callbacks, options.gateway_callback)
        self._http = HttpServer(self._handle)
        self.sink = SmtpSink(self._players["smtp"], ledger, options.sink)

    async def start(self) -> StreetPorts:
        """Listen; gives the ports. Raises OSError."""
        smtp = await self.sink.start(self._options.host, self._options.smtp_port)
        return StreetPorts(smtp, await self._http.start(self._options.host, self._options.http_port))

    async def stop(self) -> None:
        """End everything."""
        await self._callbacks.stop()
        await self._http.stop()
        await self.sink.stop()

    def play(self, script: Script) -> None:
        """Begin another script."""
        for name, player in self._players.items():
            player.play(getattr(script, name))

    async def _handle(self, request: Request) -> Answer | None:
        if request.path.startswith(PREFIX):
            return await self._notify(request)
        if request.path == PATH:
            return await self._gateway(request)
        if request.path == "/control/script" and request.method in ("PUT", "POST"):
            return self._new_script(request.body)
        if request.path == "/control/ledger" and request.method == "GET":
            return Answer(200, self._ledger.entries)
        return Answer(404, {"error": "nothing is here: /v2/notifications, /sms, /control/script, /control/ledger"})

    def _new_script(self, body: bytes) -> Answer:
        try:
            self.play(msgspec.json.decode(body, type=Script))
        except msgspec.MsgspecError as error:
            return Answer(400, {"error": str(error)})
        return Answer(200, {"status": "playing"})

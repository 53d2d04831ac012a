"""A generic SMS gateway: JSON in, JSON out, an idempotency key, a search by reference, receipts by callback."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from daemon.fake_providers.callbacks import CallbackOptions, Callbacks
from daemon.fake_providers.http_server import Answer, Request
from daemon.fake_providers.ledger import Ledger
from daemon.fake_providers.script import Act, Player

PROVIDER: Final = "gateway"
PATH: Final = "/sms"

_LONGEST_WAIT: Final = 60.0


class SmsGateway:
    """The handler of ``/sms``: POST sends, GET with a reference searches."""

    def __init__(self, player: Player, ledger: Ledger, callbacks: Callbacks, callback: CallbackOptions) -> None:
        self._player = player
        self._ledger = ledger
        self._callbacks = callbacks
        self._callback = callback
        self._by_key: dict[str, Answer] = {}
        self._by_reference: dict[str, tuple[str, float]] = {}

    async def __call__(self, request: Request) -> Answer | None:
        """Answer one request."""
        if request.method == "GET":
            return self._found(request.query.get("reference", ""))
        said = request.json
        if not isinstance(said, dict) or not {"to", "text", "reference"} <= said.keys():
            return Answer(400, {"status": "4"})
        return await self._post(said, request.headers.get("idempotency-key", ""))

    def _found(self, reference: str) -> Answer:
        name, visible_from = self._by_reference.get(reference, ("", 0.0))
        if not name or time.monotonic() < visible_from:
            return Answer(404, {"status": "unknown"})
        return Answer(200, {"status": "0", "id": name})

    async def _post(self, said: dict[str, Any], key: str) -> Answer | None:
        act = self._player.next()
        await asyncio.sleep(max(act.wait, _asked_wait(said)))
        answer = self._taken(said, key, act) if act.do == "accept" or act.record else None
        if act.do == "hang":
            await asyncio.Event().wait()
        if act.do == "answer":
            return Answer(act.status or 500, act.body.encode() or b'{"status": "9"}')
        return answer if act.do == "accept" else None

    def _taken(self, said: dict[str, Any], key: str, act: Act) -> Answer:
        known = self._by_key.get(key) if key else None
        reference, to, text = (str(said[name]) for name in ("reference", "to", "text"))
        name = self._ledger.add(PROVIDER, "sms", reference, to, text, kept=known is None)
        if known is not None:
            return known
        answer = self._by_key[key] = Answer(200, {"status": "0", "id": name})
        self._by_reference[reference] = name, time.monotonic() + act.visible_after
        for receipt in act.receipts:
            words = {"id": name, "reference": reference, "status": receipt.status}
            self._callbacks.tell(self._callback, receipt, partial(_dated, words))
        return answer


def _dated(words: dict[str, Any]) -> dict[str, Any]:
    return {**words, "at": datetime.now(UTC).isoformat()}


def _asked_wait(said: dict[str, Any]) -> float:
    """Seconds that the message itself asks this gateway to take, in ``wait``."""
    try:
        return min(_LONGEST_WAIT, max(0.0, float(said.get("wait", 0))))
    except (TypeError, ValueError):
        return 0.0

"""A Notify-like API: signed tokens, send, search by reference, one by id, errors in Notify's shape."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

import jwt

from daemon.fake_providers.callbacks import CallbackOptions, Callbacks
from daemon.fake_providers.http_server import Answer, Request
from daemon.fake_providers.ledger import Ledger
from daemon.fake_providers.script import Act, Player

PROVIDER: Final = "notify"
PREFIX: Final = "/v2/notifications"
FAKE_KEY: Final = "fake-11111111-1111-4111-8111-111111111111-22222222-2222-4222-8222-222222222222"
"""An API key of the fake's own: its name, the service and the secret."""

_ADDRESSEE: Final = {"sms": "phone_number", "email": "email_address"}
_CLOCKS_APART: Final = 30
_ERRORS: Final = {
    400: ("BadRequestError", "Can't send to this recipient"),
    403: ("AuthError", "Invalid token"),
    404: ("NoResultFound", "No result found"),
    429: ("RateLimitError", "Exceeded rate limit"),
}


class NotifyApi:
    """The handler of ``/v2/notifications``."""

    def __init__(
        self, player: Player, ledger: Ledger, callbacks: Callbacks, callback: CallbackOptions, key: str = FAKE_KEY
    ) -> None:
        self._player = player
        self._ledger = ledger
        self._callbacks = callbacks
        self._callback = callback
        self._service, self._secret = key[-73:-37], key[-36:]
        self._known: dict[str, dict[str, Any]] = {}
        self._visible: dict[str, float] = {}

    async def __call__(self, request: Request) -> Answer | None:
        """Answer one request."""
        if not self._signed(request.bearer):
            return refusal(403)
        if request.method == "POST":
            return await self._post(request.path.removeprefix(PREFIX + "/"), request.json)
        if request.path == PREFIX:
            return Answer(200, {"notifications": self._found(request.query.get("reference", "")), "links": {}})
        known = self._known.get(request.path.removeprefix(PREFIX + "/"))
        return Answer(200, known) if known is not None else refusal(404)

    async def _post(self, channel: str, said: Any) -> Answer | None:
        fault = _fault(channel, said)
        if fault is not None:
            return fault
        act = self._player.next()
        await asyncio.sleep(act.wait)
        answer = self._taken(channel, said, act) if act.do == "accept" or act.record else None
        if act.do == "hang":
            await asyncio.Event().wait()
        if act.do == "answer":
            return Answer(act.status or 500, act.body.encode()) if act.body else refusal(act.status or 500, act.text)
        return answer if act.do == "accept" else None

    def _taken(self, channel: str, said: dict[str, Any], act: Act) -> Answer:
        to = str(said.get(_ADDRESSEE.get(channel, ""), ""))
        values = said.get("personalisation", {})
        message = str(values.get("message", values.get("body", ""))) if isinstance(values, dict) else ""
        self._ledger.add(PROVIDER, channel, said["reference"], to, message)
        name = str(uuid.uuid4())
        self._known[name] = {
            "id": name,
            "reference": said["reference"],
            "type": channel,
            "status": "created",
            "created_at": _now(),
            "completed_at": None,
        }
        self._visible[name] = time.monotonic() + act.visible_after
        for receipt in act.receipts:
            self._callbacks.tell(self._callback, receipt, partial(self._status, name, receipt.status))
        return Answer(201, {"id": name, "reference": said["reference"], "uri": f"{PREFIX}/{name}"})

    def _status(self, name: str, status: str) -> dict[str, Any]:
        known = self._known[name]
        known["status"], known["completed_at"] = status, _now()
        return {"notification_type": known["type"], "to": "", **known}

    def _found(self, reference: str) -> list[dict[str, Any]]:
        seen = time.monotonic()
        return [
            known
            for known in self._known.values()
            if known["reference"] == reference and self._visible[known["id"]] <= seen
        ]

    def _signed(self, token: str) -> bool:
        try:
            claims = jwt.decode(token, self._secret, ["HS256"], options={"verify_iat": False})
        except jwt.InvalidTokenError:
            return False
        return claims.get("iss") == self._service and abs(claims.get("iat", 0) - time.time()) < _CLOCKS_APART


def refusal(status: int, text: str = "") -> Answer:
    """An error in Notify's shape; ``text`` is ``Type: message``."""
    kind, _, message = text.partition(": ")
    plain = _ERRORS.get(status, ("Exception", "Internal server error"))
    error = {"error": kind or plain[0], "message": message or plain[1]}
    return Answer(status, {"status_code": status, "errors": [error]})


def _fault(channel: str, said: Any) -> Answer | None:
    needed = {"sms": "phone_number", "email": "email_address", "letter": "content"}.get(channel)
    if needed is None:
        return refusal(404)
    if (
        not isinstance(said, dict)
        or not isinstance(said.get(needed), str)
        or not isinstance(said.get("reference"), str)
    ):
        return refusal(400, f"ValidationError: {needed} is a required property")
    if channel != "letter" and not said.get("template_id"):
        return refusal(400, "ValidationError: template_id is a required property")
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")

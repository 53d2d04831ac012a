"""GOV.UK Notify: text messages, emails and letters through its REST API.

Theory. Notify writes its own messages from templates, so each channel has one in the hospital's service that holds
nothing but a placeholder: a text message ``((message))``, an email the subject ``((subject))`` and the body
``((body))``. Letters go as PDF and need none. Every message carries our reference, and Notify finds it by that: an
unknown outcome is settled by a search.

Under load Notify answers before it has written down what it took, and for that long (``settle_after``) a search does
not find it. Each request is signed with a token of its own (HS256; RFC 7519); Notify wants its clock and ours within 30
seconds.
"""

from __future__ import annotations

import base64
import email.policy
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.parser import BytesParser
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import msgspec
from msgspec import Struct

from invites.channels.channel import (
    EMAIL,
    LETTER,
    SMS,
    Accepted,
    NotSent,
    Outcome,
    Refused,
    Request,
    Settlement,
    Unknown,
    is_reference,
)
from invites.channels.http_call import HttpCaller, HttpOptions
from invites.channels.http_exchange import Ask, Reply
from invites.channels.notify_answers import PROVIDER, found, outcome_of, receipt_of, silence
from invites.channels.notify_key import parts_of
from invites.receipt import Receipt
from patient_records.model import Masked

LIVE: Final = "https://api.notifications.service.gov.uk"


class NotifyOptions(Masked, Struct, frozen=True):
    """What was configured about Notify. ``key`` is a whole API key: its name, the service's id and the secret.

    ``templates`` by channel; ``sender_id`` and ``reply_to_id`` choose among a service's senders, empty for its default;
    ``postage`` is first, second or economy; ``settle_after`` how long a message may be there before a search finds it.
    """

    key: str
    url: str = LIVE
    templates: Mapping[str, str] = {}
    sender_id: str = ""
    reply_to_id: str = ""
    postage: str = "second"
    settle_after: timedelta = timedelta(minutes=1)
    http: HttpOptions = HttpOptions()


class Notify:
    """Sends through one service of Notify. Raises ValueError for a key that is none."""

    name = PROVIDER
    settlement = Settlement.SEARCHABLE

    def __init__(self, options: NotifyOptions, clock: Callable[[], float] = time.time) -> None:
        """``clock`` gives seconds since 1970, for tokens and for days."""
        self._service, self._secret = parts_of(options.key)
        self._options = options
        self._clock = clock
        self._call = HttpCaller(PROVIDER, options.http)
        self.settle_after = options.settle_after

    def send(self, request: Request) -> Outcome:
        """Post the message."""
        body = self._body(request)
        if isinstance(body, Refused):
            return body
        said = self._asked("POST", f"/v2/notifications/{request.channel}", msgspec.json.encode(body))
        if not isinstance(said, Reply):
            return said
        return outcome_of(said.status, said.json, self._now(), said.retry_after)

    def search(self, reference: str) -> Outcome:
        """Ask by reference; NotSent for one that is not found (yet)."""
        if not is_reference(reference):
            return NotSent("bad_reference")
        said = self._asked("GET", f"/v2/notifications?{urlencode({'reference': reference})}")
        if not isinstance(said, Reply):
            return Unknown(said.code)
        if said.status != 200:  # noqa: PLR2004
            return Unknown(f"notify_search_{said.status}", silence(said.status, said.retry_after))
        name = found(said.json)
        if name is None:
            return Unknown("notify_answer_unreadable")
        return Accepted(name) if name else NotSent("notify_not_found")

    def receipt(self, name: str) -> Receipt | None:
        """Ask what became of a message, by the id that Notify gave it; None when that is not known (yet)."""
        said = self._asked("GET", f"/v2/notifications/{name}")
        if not isinstance(said, Reply) or said.status != 200:  # noqa: PLR2004
            return None
        return receipt_of(said.json, self._now())

    def close(self) -> None:
        """Close the connections that are kept."""
        self._call.close()

    def _asked(self, method: str, path: str, content: bytes = b"") -> Reply | NotSent | Unknown:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        return self._call(Ask(method, self._options.url.rstrip("/") + path, headers, content))

    def _token(self) -> str:
        return jwt.encode({"iss": self._service, "iat": int(self._clock())}, self._secret, "HS256")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _body(self, request: Request) -> dict[str, Any] | Refused:
        if not is_reference(request.reference):
            return Refused("bad_reference")
        if request.channel == LETTER:
            content = base64.b64encode(request.body).decode()
            return {"reference": request.reference, "content": content, "postage": self._options.postage}
        template = self._options.templates.get(request.channel)
        if template is None or request.channel not in (SMS, EMAIL):
            return Refused("no_such_channel")
        plain: dict[str, Any] = {"reference": request.reference, "template_id": template}
        if request.channel == SMS:
            sender = {"sms_sender_id": self._options.sender_id} if self._options.sender_id else {}
            values = {"message": request.body.decode()}
            return {**plain, **sender, "phone_number": request.to, "personalisation": values}
        reply_to = {"email_reply_to_id": self._options.reply_to_id} if self._options.reply_to_id else {}
        return {**plain, **reply_to, "email_address": request.to, "personalisation": _subject_and_text(request.body)}


def _subject_and_text(message: bytes) -> dict[str, str]:
    """Take from an email what a template can carry: Notify writes its own HTML."""
    parsed = BytesParser(policy=email.policy.default).parsebytes(message)
    text = parsed.get_body(("plain",))
    return {"subject": str(parsed["Subject"] or ""), "body": str(text.get_content()) if text is not None else ""}

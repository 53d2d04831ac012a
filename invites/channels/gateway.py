"""Text messages through whatever HTTP interface a hospital's supplier has, as configured.

What the supplier's answers mean is told by rules (:mod:`.gateway_rules`), and so is what it can do: *deduplicates* by
an idempotency header or a field of the body that carries our reference, can be *searched* by a second URL, or neither;
then an unknown message waits for a person. An answer that no rule knows is unknown, never accepted.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from msgspec import Struct

from invites.channels.channel import (
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
from invites.channels.gateway_rules import FORMATS, Rule, extract, filled_body, filled_header, filled_url, judge
from invites.channels.http_call import HttpCaller, HttpOptions
from invites.channels.http_exchange import Ask, Reply
from patient_records.model import Masked

PROVIDER: Final = "http"

_ACCEPTED: Final = "accepted"
_REFUSED: Final = "refused"
_NOT_SENT: Final = "not_sent"
_LONGEST_NAME: Final = 128


class Search(Masked, Struct, frozen=True):
    """How to ask whether a message arrived: a GET, which answers mean found, and which mean that it is not there.

    ``settle_after`` is how long a message may be there before this finds it.
    """

    url: str
    found: tuple[Rule, ...]
    absent: tuple[Rule, ...]
    settle_after: timedelta = timedelta(minutes=1)


class GatewayOptions(Masked, Struct, frozen=True):
    """Everything that was configured about the supplier. Templates hold placeholders; see :mod:`.gateway_rules`."""

    url: str
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    format: str = "json"
    body: str = '{"to": "{to}", "text": "{text}", "reference": "{reference}"}'
    username: str = ""
    password: str = ""
    secret: str = ""
    accepted: tuple[Rule, ...] = ()
    refused: tuple[Rule, ...] = ()
    not_sent: tuple[Rule, ...] = ()
    reference_at: str = ""
    idempotency_header: str = ""
    deduplicates: bool = False
    search: Search | None = None
    http: HttpOptions = HttpOptions()


class Gateway:
    """Sends through one supplier."""

    name = PROVIDER

    def __init__(self, options: GatewayOptions) -> None:
        self._options = options
        self._call = HttpCaller("gateway", options.http)
        self.settlement = _settlement(options)
        self.settle_after = options.search.settle_after if options.search else timedelta(0)

    def send(self, request: Request) -> Outcome:
        """Hand the text message over."""
        if request.channel != SMS:
            return Refused("no_such_channel")
        if not is_reference(request.reference):
            return Refused("bad_reference")
        said = self._call(self._ask(_values(request, self._options.secret)))
        return self._judged(said, request.reference) if isinstance(said, Reply) else said

    def search(self, reference: str) -> Outcome:
        """Ask the supplier whether it has the message, where it can be asked; NotSent for one not there (yet)."""
        if not is_reference(reference):
            return NotSent("bad_reference")
        search = self._options.search
        if search is None:
            return Unknown("gateway_cannot_tell")
        values = {"reference": reference, "secret": self._options.secret}
        said = self._call(Ask("GET", filled_url(search.url, values), self._headers(values)))
        if not isinstance(said, Reply):
            return Unknown(said.code)
        kind = judge(said, {_ACCEPTED: search.found, _NOT_SENT: search.absent})
        if kind == _ACCEPTED:
            return Accepted(self._name(said, reference))
        return (
            NotSent("gateway_not_found")
            if kind == _NOT_SENT
            else Unknown(f"gateway_search_{said.status}", _silence(said))
        )

    def close(self) -> None:
        """Close the connections that are kept."""
        self._call.close()

    def _ask(self, values: Mapping[str, str]) -> Ask:
        options = self._options
        headers = self._headers(values)
        if options.idempotency_header:
            headers[options.idempotency_header] = values["reference"]
        body = b""
        if options.method != "GET":
            headers.setdefault("Content-Type", FORMATS[options.format])
            body = filled_body(options.body, options.format, values)
        return Ask(options.method, filled_url(options.url, values), headers, body)

    def _headers(self, values: Mapping[str, str]) -> dict[str, str]:
        headers = {name: filled_header(value, values) for name, value in self._options.headers}
        if self._options.username:
            pair = f"{self._options.username}:{self._options.password}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        return headers

    def _judged(self, reply: Reply, reference: str) -> Outcome:
        options = self._options
        kinds = {_REFUSED: options.refused, _NOT_SENT: options.not_sent, _ACCEPTED: options.accepted}
        kind, code = judge(reply, kinds), f"gateway_{reply.status}"
        if kind == _ACCEPTED:
            return Accepted(self._name(reply, reference))
        if kind == _REFUSED:
            return Refused(code)
        if kind == _NOT_SENT:
            return NotSent(code, _silence(reply))
        return Unknown(code, _silence(reply))

    def _name(self, reply: Reply, reference: str) -> str:
        """The supplier's name for the message; ours where it gives none that could be one."""
        name = extract(reply, self._options.reference_at)
        return name if name.isascii() and name.isprintable() and 0 < len(name) <= _LONGEST_NAME else reference


def _values(request: Request, secret: str) -> Mapping[str, str]:
    return MappingProxyType(
        {
            "to": request.to,
            "to_digits": request.to.removeprefix("+"),
            "text": request.body.decode(),
            "reference": request.reference,
            "secret": secret,
        }
    )


def _silence(reply: Reply) -> timedelta | None:
    return timedelta(seconds=reply.retry_after) if reply.retry_after else None


def _settlement(options: GatewayOptions) -> Settlement:
    if options.deduplicates:
        return Settlement.DEDUPLICATES
    return Settlement.NEITHER if options.search is None else Settlement.SEARCHABLE

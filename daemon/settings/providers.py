"""[delivery.notify] and [delivery.sms.http]: providers that speak HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from daemon.settings.faults import Wrong
from daemon.settings.section import Section
from daemon.settings.value_types import Duration, FilePathOrNone, Flag, Many, SecretText, WebUrl, WebUrlOrNone
from invites.channels.gateway_rules import read_rule, unknown_placeholders


def _rule(text: str) -> str:
    try:
        read_rule(text)
    except ValueError as error:
        raise Wrong("is no rule", f"It {error}" if not str(error).startswith("is") else str(error)) from None
    return text


def _template(text: str) -> str:
    strange = unknown_placeholders(text)
    if strange:
        raise Wrong(f"has a placeholder that stands for nothing: {{{strange[0]}}}", _PLACEHOLDERS)
    return text


def _header(text: str) -> str:
    name, colon, _ = text.partition(":")
    if not colon or not name.strip() or not text.isprintable():
        raise Wrong("is no header", 'Write "Name: value"')
    return _template(text)


_PLACEHOLDERS = "Use {to}, {to_digits}, {text}, {reference} or {secret}"

Rules = Many[Annotated[str, AfterValidator(_rule)]]
Template = Annotated[str, AfterValidator(_template)]
Headers = Many[Annotated[str, AfterValidator(_header)]]


class Notify(Section):
    """[delivery.notify]: GOV.UK Notify, used where a channel's provider is "notify"."""

    key: SecretText = Field(default={"env": "NOTIFY_API_KEY"})  # type: ignore[assignment]  # validated into a Secret
    """A whole API key, as Notify shows it."""
    url: WebUrl = "https://api.notifications.service.gov.uk"
    """The API's address."""
    sms_template: str = ""
    """The id of the template for text messages: its content is ((message))."""
    email_template: str = ""
    """The id of the template for emails: its subject is ((subject)), its content ((body))."""
    sms_sender: str = ""
    """The id of a text message sender; empty: the service's default."""
    email_reply_to: str = ""
    """The id of a reply-to address; empty: the service's default."""
    postage: Literal["first", "second", "economy"] = "second"
    """How letters are posted."""
    settle_after: Duration = timedelta(minutes=1)
    """How long a message may be there before a search finds it: two answers so far apart mean that it never was."""
    callback_secret: SecretText = Field(default={"env": "NOTIFY_CALLBACK_TOKEN"})  # type: ignore[assignment]
    """The bearer token that delivery receipts to /receipts/notify must show; missing: none are taken."""
    poll: Duration = timedelta(minutes=5)
    """How often messages without a final receipt are asked about."""
    timeout: Duration = timedelta(seconds=25)
    """How long one call may take."""
    ca_file: FilePathOrNone = None
    """PEM file of the only authorities whose certificates are trusted; empty: those of the system."""
    proxy: WebUrlOrNone = ""
    """The forward proxy; empty: none."""


class GatewayReceipts(Section):
    """[delivery.sms.http.receipts]: what the supplier calls back with."""

    secret: SecretText = Field(default={"env": "SMS_CALLBACK_TOKEN"})  # type: ignore[assignment]
    """What a receipt to /receipts/sms must show, as bearer token or as the last part of the path."""
    items: str = ""
    """The path of a list of receipts in the JSON; empty: the body is one receipt, or a list of them."""
    reference: str = "reference"
    """The field with our reference; empty: it is not told."""
    provider_reference: str = "id"
    """The field with the supplier's own reference; empty: it is not told."""
    status: str = "status"
    """The field with the status."""
    at: str = ""
    """The field with the time (ISO 8601, or seconds since 1970); empty: when the receipt came."""
    sent: Many[str] = ("sent", "submitted", "buffered")
    """Statuses of messages that are on their way."""
    delivered: Many[str] = ("delivered",)
    """Statuses of messages that arrived."""
    failed: Many[str] = ("failed", "expired", "rejected", "undelivered")
    """Statuses of messages that did not arrive, which says nothing of the next."""
    failed_for_good: Many[str] = ("invalid", "unknown_subscriber")
    """Statuses that say that the number is at fault."""


class Gateway(Section):
    """[delivery.sms.http]: an SMS supplier's HTTP interface, used where provider = "http"."""

    url: Annotated[str, Field(max_length=2000), AfterValidator(_template)] = ""
    """Where messages go; may hold placeholders."""
    method: Literal["POST", "PUT", "GET"] = "POST"
    """The request's method; GET has everything in the URL."""
    format: Literal["json", "form", "xml", "text"] = "json"
    """What the body is, and so how values are escaped in it."""
    body: Template = '{"to": "{to}", "text": "{text}", "reference": "{reference}"}'
    """The body; may hold placeholders."""
    headers: Headers = ()
    """More headers, each "Name: value"; may hold placeholders."""
    username: str = ""
    """The login (HTTP Basic); empty: none."""
    password: SecretText = Field(default={"env": "SMS_PASSWORD"})  # type: ignore[assignment]
    """The login's password."""
    secret: SecretText = Field(default={"env": "SMS_SECRET"})  # type: ignore[assignment]
    """What {secret} stands for: a key or token of the supplier's."""
    accepted: Rules = ("2xx",)
    """Answers that mean that the supplier has the message."""
    refused: Rules = ()
    """Answers that mean that this number cannot be written to."""
    not_sent: Rules = (
        "301",
        "307",
        "308",
        "400",
        "401",
        "402",
        "403",
        "404",
        "405",
        "406",
        "410",
        "413",
        "415",
        "422",
        "429",
    )
    """Answers that mean certainly not sent, to be tried again; what no rule knows is unknown."""
    reference_at: str = "id"
    """Where the supplier's own reference stands in its answer: a JSON path, header:NAME or body~PATTERN."""
    idempotency_header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$")] = ""
    """The header that carries our reference, for a supplier that recognises repeats by one; empty: none."""
    deduplicates: Flag = False
    """true: the supplier promises to send one reference once only, so that unknown messages are sent again."""
    search_url: Template = ""
    """Where it can be asked for {reference} (GET); empty: it cannot be asked."""
    found: Rules = ("200",)
    """Answers to a search that mean that the supplier has the message."""
    absent: Rules = ("404",)
    """Answers to a search that mean that it does not have it."""
    settle_after: Duration = timedelta(minutes=1)
    """How long a message may be there before a search finds it: two answers so far apart mean that it never was."""
    timeout: Duration = timedelta(seconds=25)
    """How long one call may take."""
    ca_file: FilePathOrNone = None
    """PEM file of the only authorities whose certificates are trusted; empty: those of the system."""
    proxy: WebUrlOrNone = ""
    """The forward proxy; empty: none."""
    receipts: GatewayReceipts = GatewayReceipts()

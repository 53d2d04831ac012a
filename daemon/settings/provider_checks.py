"""What the providers that are in use still need, named before anybody is invited."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from email.utils import parseaddr
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.settings.faults import Contradiction
from invites.channels.notify_key import is_api_key

if TYPE_CHECKING:
    from daemon.settings.sections import Settings

_SHORTEST_SECRET: Final = 16
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def smtp_complete(settings: Settings) -> Iterator[Contradiction]:
    """What a mail server needs; the examples among the defaults are no one's server."""
    smtp, path = settings.delivery.email.smtp, ("delivery", "email", "smtp")
    if settings.delivery.email.provider != "smtp":
        return
    for key in ("host", "sender"):
        if key not in smtp.model_fields_set:
            yield Contradiction((*path, key), "is missing", f"Add {key} = ...")
    if "@" not in parseaddr(smtp.sender)[1]:
        yield Contradiction((*path, "sender"), "names no address", 'Write "Name <address@domain>"')
    if smtp.username and smtp.password.missing:
        mend = "Provide it, or leave username empty for a server without login"
        yield Contradiction((*path, "password"), smtp.password.missing, mend)
    if smtp.username and smtp.tls == "none" and smtp.host not in _LOOPBACK:
        yield Contradiction((*path, "tls"), "would send the password in clear", 'Use "starttls" or "implicit"')
    yield from _reachable(settings, path, smtp.timeout, smtp.ca_file)


def notify_complete(settings: Settings) -> Iterator[Contradiction]:
    """What GOV.UK Notify needs for the channels that it carries."""
    delivery, path = settings.delivery, ("delivery", "notify")
    notify = delivery.notify
    carried = {
        channel
        for channel, provider in (
            ("sms", delivery.sms.provider),
            ("email", delivery.email.provider),
            ("letter", delivery.letter.provider),
        )
        if provider == "notify"
    }
    if not carried:
        return
    if notify.key.missing:
        yield Contradiction((*path, "key"), notify.key.missing, "Provide the API key that Notify showed once")
    elif not is_api_key(notify.key.reveal()):
        yield Contradiction((*path, "key"), "is no API key of GOV.UK Notify", "Copy the whole key, with its name")
    for channel, template, content in (
        ("sms", notify.sms_template, "((message))"),
        ("email", notify.email_template, "((body)) and its subject ((subject))"),
    ):
        if channel in carried and not template:
            mend = f"Make a template in Notify whose content is {content}, and write its id here"
            yield Contradiction((*path, f"{channel}_template"), "is missing", mend)
    yield from _reachable(settings, path, notify.timeout, notify.ca_file)


def gateway_complete(settings: Settings) -> Iterator[Contradiction]:
    """What an SMS supplier's interface needs."""
    sms, path = settings.delivery.sms, ("delivery", "sms", "http")
    gateway = sms.http
    if sms.provider != "http":
        return
    if not gateway.url.startswith(("http://", "https://")):
        yield Contradiction((*path, "url"), "is missing or no web address", 'Write "https://..."')
    if gateway.format == "json" and gateway.method != "GET" and not _is_json(gateway.body):
        mend = "Put each placeholder inside a JSON string, or change format"
        yield Contradiction((*path, "body"), "is no JSON", mend)
    if gateway.username and gateway.password.missing:
        yield Contradiction((*path, "password"), gateway.password.missing, "Provide it, or leave username empty")
    templates = (gateway.url, gateway.body, gateway.search_url, *gateway.headers)
    if gateway.secret.missing and any("{secret}" in one for one in templates):
        yield Contradiction((*path, "secret"), gateway.secret.missing, "Provide it, or take {secret} out")
    if gateway.deduplicates and not _carries_reference(gateway.idempotency_header, *templates[:2], *gateway.headers):
        wrong = "promises what cannot be: no request carries our reference"
        yield Contradiction((*path, "deduplicates"), wrong, "Put {reference} in, or name an idempotency_header")
    if gateway.search_url and "{reference}" not in gateway.search_url:
        yield Contradiction((*path, "search_url"), "does not name the message", "Put {reference} in")
    yield from _reachable(settings, path, gateway.timeout, gateway.ca_file)


def callbacks_guarded(settings: Settings) -> Iterator[Contradiction]:
    """Secrets that providers call with, and the folder that bounces come to."""
    delivery = settings.delivery
    for path, secret in (
        (("delivery", "notify", "callback_secret"), delivery.notify.callback_secret),
        (("delivery", "sms", "http", "receipts", "secret"), delivery.sms.http.receipts.secret),
        (("delivery", "email", "bounces", "secret"), delivery.email.bounces.secret),
    ):
        if not secret.missing and len(secret.reveal()) < _SHORTEST_SECRET:
            mend = f"Use {_SHORTEST_SECRET} characters or more, such as from `openssl rand -hex 20`"
            yield Contradiction(path, "is too short to keep anybody out", mend)
    maildir = delivery.email.bounces.maildir
    if maildir is not None and not all((maildir / part).is_dir() for part in ("new", "cur")):
        path = ("delivery", "email", "bounces", "maildir")
        yield Contradiction(path, f"is no Maildir ({maildir})", "Name the folder that holds new, cur and tmp")


def _reachable(
    settings: Settings, path: tuple[str, ...], timeout: timedelta, ca_file: Path | None
) -> Iterator[Contradiction]:
    """A call begins while half a lease is left, and must have ended when it is over."""
    if timeout > settings.delivery.lease / 2:
        mend = "Shorten it, or lengthen the lease"
        yield Contradiction((*path, "timeout"), "is more than half of delivery.lease", mend)
    if ca_file is not None and not ca_file.is_file():
        yield Contradiction((*path, "ca_file"), f"names no file ({ca_file})", "Provide it, or leave it empty")


def _carries_reference(header: str, *templates: str) -> bool:
    return bool(header) or any("{reference}" in template for template in templates)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

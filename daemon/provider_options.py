"""What each provider is told, out of its section of the configuration; loads the libraries that it needs."""

from __future__ import annotations

from email.utils import parseaddr

from daemon.settings.delivery import Smtp as SmtpSection
from daemon.settings.providers import Gateway as GatewaySection
from daemon.settings.providers import Notify as NotifySection
from daemon.settings.secret import Secret
from invites.channels.channel import EMAIL, SMS
from invites.channels.gateway import Gateway, GatewayOptions, Search
from invites.channels.gateway_rules import Rule, read_rule
from invites.channels.http_call import HttpOptions
from invites.channels.notify import Notify, NotifyOptions
from invites.channels.smtp import Smtp
from invites.channels.smtp_connection import SmtpOptions


def smtp(section: SmtpSection) -> Smtp:
    """Make the provider of [delivery.email.smtp]."""
    return Smtp(
        SmtpOptions(
            host=section.host,
            port=section.port,
            sender=section.return_path or parseaddr(section.sender)[1],
            tls=section.tls,
            ca_file=section.ca_file,
            username=section.username,
            password=section.password.reveal() if section.username else "",
            greeting=section.hello,
            timeout=section.timeout.total_seconds(),
        )
    )


def notify(section: NotifySection) -> Notify:
    """Make the provider of [delivery.notify]."""
    templates = {SMS: section.sms_template, EMAIL: section.email_template}
    return Notify(
        NotifyOptions(
            key=section.key.reveal(),
            url=section.url,
            templates={channel: template for channel, template in templates.items() if template},
            sender_id=section.sms_sender,
            reply_to_id=section.email_reply_to,
            postage=section.postage,
            settle_after=section.settle_after,
            http=_http(section),
        )
    )


def gateway(section: GatewaySection) -> Gateway:
    """Make the provider of [delivery.sms.http]."""
    return Gateway(
        GatewayOptions(
            url=section.url,
            method=section.method,
            headers=tuple(_header(one) for one in section.headers),
            format=section.format,
            body=section.body,
            username=section.username,
            password=_if_given(section.password) if section.username else "",
            secret=_if_given(section.secret),
            accepted=_rules(section.accepted),
            refused=_rules(section.refused),
            not_sent=_rules(section.not_sent),
            reference_at=section.reference_at,
            idempotency_header=section.idempotency_header,
            deduplicates=section.deduplicates,
            search=_search(section),
            http=_http(section),
        )
    )


def _search(section: GatewaySection) -> Search | None:
    if not section.search_url:
        return None
    return Search(section.search_url, _rules(section.found), _rules(section.absent), section.settle_after)


def _http(section: NotifySection | GatewaySection) -> HttpOptions:
    return HttpOptions(section.timeout.total_seconds(), section.ca_file, section.proxy)


def _rules(texts: tuple[str, ...]) -> tuple[Rule, ...]:
    return tuple(read_rule(text) for text in texts)


def _header(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip(), value.strip()


def _if_given(secret: Secret) -> str:
    return "" if secret.missing else secret.reveal()

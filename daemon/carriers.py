"""Who carries what: from the configuration to one lane for each allowed channel, each with its provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parseaddr
from typing import Final

from msgspec import Struct

from daemon.letter_delivery import letter_lane
from daemon.settings import Settings
from daemon.wording_files import own_templates
from invites.channels import composition
from invites.channels.channel import EMAIL, LETTER, SMS, Channel, Provider
from invites.channels.spool import Spool
from invites.options import Lane

SPOOL: Final = "spool"
SMTP: Final = "smtp"


class Carriers(Struct, frozen=True):
    """The lanes, and what must be hung up when they have ended."""

    lanes: tuple[Lane, ...]
    endings: tuple[Callable[[], None], ...]

    def close(self) -> None:
        """End connections to providers."""
        for end in self.endings:
            end()


def hire(settings: Settings, now: Callable[[], datetime]) -> Carriers:
    """Make the providers that are configured; none is called yet.

    Raises OSError when the spool cannot be made, WordingError for a template of the hospital's that is none.
    """
    sender = settings.delivery.email.smtp.sender if settings.delivery.email.provider == SMTP else ""
    domain = parseaddr(sender)[1].rpartition("@")[2]
    channels = composition.build(
        sender=sender,
        message_domain=domain,
        wording=own_templates(settings),
        languages={organisation.code: organisation.language for organisation in settings.all_organisations},
    )
    maker = _Maker(settings, now)
    lanes = tuple(maker.lane(channels[kind]) for kind in settings.invitations.channels)
    return Carriers(lanes, tuple(maker.endings))


class _Maker:
    """Makes each provider when the first channel asks for it; libraries are loaded by those who need them."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._spool: Spool | None = None
        self.endings: list[Callable[[], None]] = []

    def lane(self, channel: Channel) -> Lane:
        """Give the channel its lane; letters have more ways than one to go (:mod:`daemon.letter_delivery`)."""
        delivery = self._settings.delivery
        if channel.kind == LETTER:
            return letter_lane(delivery, channel, self._shared_spool(), self._now)
        name = {SMS: delivery.sms.provider, EMAIL: delivery.email.provider}[channel.kind]
        return Lane(channel, self._smtp() if name == SMTP else self._shared_spool())

    def _shared_spool(self) -> Spool:
        if self._spool is None:
            self._spool = Spool(self._settings.delivery.spool.folder)
        return self._spool

    def _smtp(self) -> Provider:
        from invites.channels.smtp import Smtp  # noqa: PLC0415 (aiosmtplib costs start-up time)
        from invites.channels.smtp_connection import SmtpOptions  # noqa: PLC0415

        smtp = self._settings.delivery.email.smtp
        made = Smtp(
            SmtpOptions(
                host=smtp.host,
                port=smtp.port,
                sender=smtp.return_path or parseaddr(smtp.sender)[1],
                tls=smtp.tls,
                ca_file=smtp.ca_file,
                username=smtp.username,
                password=smtp.password.reveal() if smtp.username else "",
                greeting=smtp.hello,
                timeout=smtp.timeout.total_seconds(),
            )
        )
        self.endings.append(made.close)
        return made

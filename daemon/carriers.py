"""Who carries what: from the configuration to one lane for each allowed channel, each with its provider."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from email.utils import parseaddr
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from daemon.letter_delivery import letter_lane
from daemon.settings import Settings
from daemon.wording_files import own_templates
from invites.channels import composition
from invites.channels.channel import EMAIL, LETTER, SMS, Channel, Provider
from invites.channels.receipt_poll import Told
from invites.channels.spool import Spool
from invites.options import Lane

SPOOL: Final = "spool"
SMTP: Final = "smtp"
NOTIFY: Final = "notify"
HTTP: Final = "http"


class Closing(Provider, Protocol):
    """A provider that keeps connections."""

    def close(self) -> None:
        """End them."""
        ...


class Carriers(Struct, frozen=True):
    """The lanes, and what must be hung up when they have ended."""

    lanes: tuple[Lane, ...]
    endings: tuple[Callable[[], None], ...]
    polled: tuple[Told, ...] = ()
    """Providers that are asked what became of a message, one of each kind."""

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
        large_print=settings.delivery.letter.large_print,
        languages={organisation.code: organisation.language for organisation in settings.all_organisations},
    )
    maker = _Maker(settings, now)
    kinds = dict.fromkeys((*settings.invitations.channels, EMAIL))  # accounts are mailed, however people are invited
    lanes = tuple(maker.lane(channels[kind]) for kind in kinds)
    return Carriers(lanes, tuple(maker.endings), tuple(maker.polled[:1]))


class _Maker:
    """Makes each provider when the first channel asks for it; libraries are loaded by those who need them."""

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._now = now
        self._spool: Spool | None = None
        self.endings: list[Callable[[], None]] = []
        self.polled: list[Told] = []

    def lane(self, channel: Channel) -> Lane:
        """Give the channel its lane, with its provider's limits."""
        delivery = self._settings.delivery
        limits = {SMS: delivery.sms.limits, EMAIL: delivery.email.limits, LETTER: delivery.letter.limits}
        return msgspec.structs.replace(self._lane(channel), limits=limits[channel.kind])

    def _lane(self, channel: Channel) -> Lane:
        """Letters have more ways than one to go (:mod:`daemon.letter_delivery`)."""
        delivery = self._settings.delivery
        if channel.kind == LETTER and delivery.letter.provider != NOTIFY:
            return letter_lane(self._settings, channel, self._shared_spool(), self._now)
        names = {SMS: delivery.sms.provider, EMAIL: delivery.email.provider, LETTER: delivery.letter.provider}
        makers: dict[str, Callable[[], Provider]] = {
            SPOOL: self._shared_spool,
            SMTP: self._smtp,
            NOTIFY: self._notify,
            HTTP: self._gateway,
        }
        return Lane(channel, makers[names[channel.kind]]())

    def _shared_spool(self) -> Spool:
        if self._spool is None:
            self._spool = Spool(self._settings.delivery.spool.folder)
        return self._spool

    def _smtp(self) -> Provider:
        from daemon.provider_options import smtp  # noqa: PLC0415 (aiosmtplib costs start-up time)

        return self._kept(smtp(self._settings.delivery.email.smtp))

    def _notify(self) -> Provider:
        """One for each channel, so that each lane has connections of its own."""
        from daemon.provider_options import notify  # noqa: PLC0415 (so does httpx)

        made = notify(self._settings.delivery.notify)
        self.polled.append(made)
        return self._kept(made)

    def _gateway(self) -> Provider:
        from daemon.provider_options import gateway  # noqa: PLC0415

        return self._kept(gateway(self._settings.delivery.sms.http))

    def _kept(self, made: Closing) -> Closing:
        self.endings.append(made.close)
        return made

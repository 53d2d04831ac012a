"""From what we know of a person to where a message for them goes.

:func:`usable_channels` is asked for every message that changes a person, so it looks at cheap things first and builds
nothing; :func:`reachable` is asked once an invitation is made, and builds the recipient. Both decide by the same rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from invites.channels.channel import EMAIL, LETTER, SMS
from invites.recipient.envelope import envelope, fits_as_it_is
from invites.recipient.person_name import full_name
from invites.recipient.postal_address import postal_address
from patient_records import model
from patient_records.model import Demographics, Masked

NO_MOBILE: Final = "no_mobile_number"
NO_EMAIL: Final = "no_email_address"
NO_NAME: Final = "no_name"
UNFIT: Final = "address_unfit"
"""It cannot be put on three to seven lines of 40 characters."""

NO_SUCH_CHANNEL: Final = "no_such_channel"

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}").fullmatch
"""ITU-T E.164, section 6: at most 15 digits after the plus sign."""

_MAILBOX: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+").fullmatch
"""RFC 5321 4.1.2, the dot-string form with a full domain: all that is put in a header unquoted, and nothing else."""

_MAILBOX_LENGTH: Final = 254


class Recipient(Masked, Struct, frozen=True):
    """Where a message goes: ``to`` is an E.164 number, an email address, or the envelope's lines joined by LF."""

    channel: str
    to: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The envelope's lines, the name first (a letter's; else the one number or address)."""
        return tuple(self.to.split("\n"))


def usable_channels(demographics: Demographics, allowed: Sequence[str]) -> tuple[str, ...]:
    """Give those of the allowed channels that can reach this person, in the order given."""
    return tuple([channel for channel in allowed if channel in _USABLE and _USABLE[channel](demographics)])


def reachable(demographics: Demographics, channel: str, typed: str = "") -> Recipient | None:
    """Give the recipient of a message by that channel; None when this person cannot be reached by it.

    ``typed`` is an email address given by the person themselves: it goes before whatever the record knows.
    """
    if typed:
        mailbox = _written(typed) if channel == EMAIL else None
        return None if mailbox is None else Recipient(channel, mailbox)
    to = _TO[channel](demographics) if channel in _TO else None
    return None if to is None else Recipient(channel, to)


def obstacle(demographics: Demographics, channel: str) -> str | None:
    """Say as a code why this person cannot be reached by that channel; None when they can."""
    if channel not in _TO:
        return NO_SUCH_CHANNEL
    if _TO[channel](demographics) is not None:
        return None
    if channel != LETTER:
        return NO_MOBILE if channel == SMS else NO_EMAIL
    address = postal_address(demographics.addresses)
    if isinstance(address, str):
        return address
    return UNFIT if full_name(demographics.name) else NO_NAME


def _mobile(demographics: Demographics) -> str | None:
    for points in (demographics.home, demographics.work):
        for point in points:
            if point.kind == model.MOBILE and _E164(point.value):
                return point.value
    return None


def _mailbox(demographics: Demographics) -> str | None:
    for points in (demographics.home, demographics.work):
        for point in points:
            if point.kind == model.EMAIL and "@" in point.value and (mailbox := _written(point.value)):
                return mailbox
    return None


def _written(value: str) -> str | None:
    """Put an address as it is written in a header, its domain in ASCII (RFC 5890); None when it cannot be."""
    if not value.isascii():
        local, _, domain = value.rpartition("@")
        try:
            value = f"{local}@{domain.encode('idna').decode()}"
        except UnicodeError:
            return None
    if len(value) > _MAILBOX_LENGTH or not _MAILBOX(value):
        return None
    return None if ".." in value or value[0] == "." or ".@" in value else value


def _can_be_posted(demographics: Demographics) -> bool:
    address = postal_address(demographics.addresses)
    name = demographics.name
    if isinstance(address, str) or name is None:
        return False
    plain = f"{name.prefix}{name.given}{name.family}{name.suffix}   "
    if name.family.isalpha() and fits_as_it_is(plain, address):
        return True
    return _envelope(demographics) is not None


def _envelope(demographics: Demographics) -> str | None:
    address = postal_address(demographics.addresses)
    name = demographics.name
    if isinstance(address, str) or name is None or not full_name(name):
        return None
    lines = envelope(name, address)
    return None if lines is None else "\n".join(lines)


_TO: Final[dict[str, Callable[[Demographics], str | None]]] = {SMS: _mobile, EMAIL: _mailbox, LETTER: _envelope}
_USABLE: Final[dict[str, Callable[[Demographics], object]]] = {SMS: _mobile, EMAIL: _mailbox, LETTER: _can_be_posted}

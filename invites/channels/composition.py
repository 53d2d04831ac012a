"""Puts the channels together, out of plain arguments."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from invites.channels.channel import EMAIL, LETTER, SMS, Channel
from invites.channels.email_message import Email
from invites.channels.letter import Letter
from invites.channels.sms import Sms
from invites.channels.templates import with_overrides
from invites.wording.wording import Wording

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


def build(
    *,
    sender: str = "",
    message_domain: str = "",
    wording: Mapping[str, str] = _NONE,
    languages: Mapping[str, str] = _NONE,
    large_print: bool = False,
) -> dict[str, Channel]:
    """Give every channel by its kind.

    ``sender`` is who emails come from ("Name <address>"; default: the hospital, noreply at ``message_domain``),
    ``message_domain`` the right hand of Message-ID (default: the organisation's code below ``doorstep.invalid``).
    ``wording`` holds a hospital's own templates by name (``en/invitation/sms.txt``), in the place of those that ship;
    ``languages`` says by an organisation's code in which language it writes to those who prefer none;
    ``large_print`` has every letter in 16 points and larger.
    Raises :class:`invites.wording.errors.WordingError` for a template that is no template, ValueError for a sender that
    is no address.
    """
    words = Wording(with_overrides(wording), languages)
    return {
        SMS: Sms(words),
        EMAIL: Email(words, sender, message_domain),
        LETTER: Letter(words, large_print=large_print),
    }

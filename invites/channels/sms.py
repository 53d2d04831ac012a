"""The text message: one or two parts, no name, both codes and the link whole.

Anybody may see a telephone's lock screen, so the text names the hospital and no patient. The fuller wording is used
where it fits two parts; the short one where a long name or link, or a name outside the GSM alphabet, leaves less room.
"""

from __future__ import annotations

from typing import Final

from invites.channels.channel import SMS, InvitationText, Refused, Request
from invites.recipient import reachable
from invites.wording.gsm7 import keep_whole, parts, transliterate
from invites.wording.phrases import in_groups, in_words
from invites.wording.wording import Wording

MOST_PARTS: Final = 2
"""A third part costs a third more again and, lost or late, leaves the reader with half an invitation (SPEC 6)."""

TOO_LONG: Final = "sms_too_long"
NOT_REACHABLE: Final = "no_mobile_number"

_TEMPLATES: Final = ("sms.txt", "sms.short.txt")


class Sms:
    """The sms channel. Its requests carry the text as UTF-8; the provider chooses the alphabet by its content."""

    kind = SMS

    def __init__(self, wording: Wording) -> None:
        self._wording = wording

    def render(self, text: InvitationText) -> Request | Refused:
        """Render the text message; refused without a mobile number, or when even the short wording is too long."""
        recipient = reachable(text.demographics, SMS, text.to)
        if recipient is None:
            return Refused(NOT_REACHABLE)
        body = self.text_of(text)
        if body is None:
            return Refused(TOO_LONG)
        return Request(SMS, text.reference, recipient.to, body.encode())

    def text_of(self, text: InvitationText) -> str | None:
        """Give the text in the fullest wording that keeps to two parts; None when there is none."""
        folder = f"{text.purpose}/"
        language = self._wording.language(folder + _TEMPLATES[0], text.language, text.organisation.code)
        code, token = in_groups(text.code), in_groups(text.token)
        values = {
            "hospital": text.organisation.name,
            "contact": text.organisation.contact,
            "link": text.join_link,
            "page": text.join_page,
            "code": code,
            "token": token,
            "expires": in_words(text.expires_on, language),
        }
        for template in _TEMPLATES:
            said = transliterate(self._wording.say(folder + template, language, values, text.organisation.code))
            laid_out = keep_whole(
                said, tuple(whole for whole in (text.join_link, code, token, text.code, text.token) if whole)
            )
            if laid_out is not None and len(parts(laid_out)) <= MOST_PARTS:
                return laid_out
        return None

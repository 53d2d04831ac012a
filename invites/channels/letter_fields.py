"""The letter for a mail house that prints its own: fields instead of a page (SPEC 6, the manifest-only mode).

Its requests carry the fields as JSON, with the same limits as a printed letter: whoever has no envelope gets none.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from invites.channels.batch_manifest import LetterFields, encode_fields
from invites.channels.channel import LETTER, InvitationText, Refused, Request
from invites.channels.letter_check import address_fault
from invites.recipient import full_name, obstacle, reachable
from invites.wording.phrases import in_groups, in_words

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class LettersAsFields:
    """The letter channel of a mail house that merges."""

    kind = LETTER

    def __init__(self, languages: Mapping[str, str] = _NONE, *, large_print: bool = False) -> None:
        """Take the language of an organisation's patients who prefer none from ``languages``, by its code.

        ``large_print`` is told to the mail house with each letter.
        """
        self._languages = languages
        self._large = large_print

    def render(self, text: InvitationText) -> Request | Refused:
        """Give the fields; refused for every address that a printed letter is refused for."""
        recipient = reachable(text.demographics, LETTER, text.to)
        fault = address_fault(recipient.lines) if recipient else obstacle(text.demographics, LETTER)
        if recipient is None or fault:
            return Refused(fault or "no_postal_address")
        language = text.language or self._languages.get(text.organisation.code, "en")
        fields = LetterFields(
            address=recipient.lines,
            name=full_name(text.demographics.name),
            purpose=text.purpose,
            language=language,
            large_print=self._large,
            hospital=text.organisation.name,
            contact=text.organisation.contact,
            invitation_code=in_groups(text.code),
            token=in_groups(text.token),
            join_page=text.join_page,
            join_link=text.join_link,
            expires_on=text.expires_on.isoformat(),
            expires=in_words(text.expires_on, language),
        )
        return Request(LETTER, text.reference, recipient.to, encode_fields(fields))

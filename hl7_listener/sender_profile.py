"""A sender's habits: which of its identifiers mean what. Pure.

Hospitals spell the NHS number in many ways (nine in our corpus alone). The rules here are the ones that are safe for
any sender: they name the NHS number by its own authority or type, never by position. Habits that would be guesses
elsewhere (``^01^^^NI`` is an NHS number only where a sender says so) belong to a profile of that sender, written by
somebody who knows it (``config/senders``).
"""

from __future__ import annotations

import re
from operator import mul
from typing import Final

from msgspec import Struct

from patient_records.model import Identifier

NHS: Final = ("NHS", "NH")
"""The kind under which every NHS number is kept, whatever its sender calls it."""

_NHS_TYPES: Final = frozenset({"NH", "NHS", "NHSNO", "NHSNUMBER", "NHSNMBR", "NHS NUMBER", "NNGBR", "NNGBRW"})
_NHS_AUTHORITIES: Final = frozenset(
    {"NHS", "NHSNBR", "NHS NUMBER", "2.16.840.1.113883.2.1.4.1", "HTTPS://FHIR.NHS.UK/ID/NHS-NUMBER"}
)
_NATIONAL_TYPES: Final = frozenset({"", "NI", "HN", "PI", "NNXXX"})
_STATUS: Final = re.compile(r"(?P<type>[^{]*)\{STATUS:(?P<status>\w{1,2})\}\Z", re.IGNORECASE)
_NHS_DIGITS: Final = re.compile(r"[0-9]{10}\Z")
_WEIGHTS: Final = (10, 9, 8, 7, 6, 5, 4, 3, 2)
_BLANKS: Final = str.maketrans("", "", " -\t")


BARE_NHS_NUMBER: Final = "bare_nhs_number"
"""Quirk: ten digits that end in their check digit, with neither authority nor type, are an NHS number."""

NULL_SAYS_NOTHING: Final = "null_says_nothing"
"""Quirk: the sender fills empty fields with two quote characters; nothing is erased by them."""

DEATH_DATE_MEANS_NOTHING: Final = "death_date_means_nothing"
"""Quirk: PID-29 holds something whether the person died or not; only PID-30 is believed."""

QUIRKS: Final = (BARE_NHS_NUMBER, NULL_SAYS_NOTHING, DEATH_DATE_MEANS_NOTHING)


class IdentifierRule(Struct, frozen=True):
    """What a sender's identifier of that authority and type (CX.4, CX.5; upper case; None: any) is in our terms.

    ``nhs``: an NHS number. ``ignored``: none that finds anybody. Else ``new_authority`` and ``new_type``, where they
    are given, take the place of what stands there.
    """

    authority: str | None = None
    type: str | None = None
    nhs: bool = False
    ignored: bool = False
    new_authority: str | None = None
    new_type: str | None = None

    def applies(self, authority: str, type_: str) -> bool:
        """Whether it speaks of such an identifier."""
        return self.authority in {None, authority} and self.type in {None, type_}


class Answers(Struct, frozen=True):
    """What this sender is answered on each condition, so that *it* retries what passes and stops at what does not.

    ``passing``: nothing can be stored now (close, AE or AR). ``content``: what could be mended (else AE);
    ``permanent``: what never can be (else AR); ``held``: what a person must look at. Empty: as the listener says.
    """

    passing: str = ""
    content: str = ""
    permanent: str = ""
    held: str = ""


class SenderProfile(Struct, frozen=True):
    """One sender's habits.

    ``default_authority`` stands in where CX.4 is empty, before ``rules``, of which the first that applies counts.
    ``charset`` and ``default_charset`` go before the listener's, as ``answers`` do. ``events`` are the trigger events
    taken from this sender (empty: all); ``quirks`` are of :data:`QUIRKS`.
    """

    name: str = ""
    default_authority: str = ""
    rules: tuple[IdentifierRule, ...] = ()
    charset: str | None = None
    default_charset: str | None = None
    events: frozenset[str] = frozenset()
    answers: Answers = Answers()
    quirks: frozenset[str] = frozenset()

    def is_nhs_number(self, authority: str, type_: str) -> bool:
        """Whether an identifier of that authority (CX.4.1 or 4.2) and type (CX.5), upper case, is an NHS number."""
        return type_ in _NHS_TYPES or (authority in _NHS_AUTHORITIES and type_ in _NATIONAL_TYPES)


class ReadIdentifier(Struct, frozen=True):
    """One identifier as read: None when it is unusable, and the NHS number status where the sender tucked it in.

    ``ignored``: it is none that should find anybody, by the sender's profile.
    """

    identifier: Identifier | None
    status: str = ""
    ignored: bool = False


def read_identifier(
    value: str, authority: str, type_: str, profile: SenderProfile, organisation: str
) -> ReadIdentifier:
    """Put one CX into our terms; ``value`` is CX.1, unescaped. An NHS number without its check digit is unusable."""
    found = _STATUS.match(type_)
    status = found["status"].zfill(2) if found else ""
    kind = (found["type"] if found else type_).strip().upper()
    if profile.quirks and not authority and not kind and BARE_NHS_NUMBER in profile.quirks:
        digits = value.translate(_BLANKS)
        if nhs_number_is_valid(digits):
            return ReadIdentifier(Identifier(*NHS, digits), status)
    authority = (authority or profile.default_authority).strip().upper()
    rule = next((rule for rule in profile.rules if rule.applies(authority, kind)), None) if profile.rules else None
    if rule is not None:
        if rule.ignored:
            return ReadIdentifier(None, status, ignored=True)
        authority = authority if rule.new_authority is None else rule.new_authority
        kind = kind if rule.new_type is None else rule.new_type
    if (rule is not None and rule.nhs) or profile.is_nhs_number(authority, kind):
        digits = value.translate(_BLANKS)
        return ReadIdentifier(Identifier(*NHS, digits) if nhs_number_is_valid(digits) else None, status)
    text = value.strip()
    return ReadIdentifier(Identifier(authority, kind, text, organisation) if text else None, status)


def nhs_number_is_valid(digits: str) -> bool:
    """Whether ten digits end in their check digit (modulus 11, NHS data dictionary, NHS NUMBER)."""
    if not _NHS_DIGITS.match(digits) or digits == digits[0] * 10:
        return False
    total: int = sum(map(mul, map(int, digits), _WEIGHTS))  # as long as there are weights: the check digit has none
    return (11 - total % 11) % 11 == int(digits[9])

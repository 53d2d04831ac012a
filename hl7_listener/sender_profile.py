"""A sender's habits: which of its identifiers mean what. Pure.

Hospitals spell the NHS number in many ways (nine in our corpus alone). The rules here are the ones that are safe for
any sender: they name the NHS number by its own authority or type, never by position. Habits that would be guesses
elsewhere (``^01^^^NI`` is an NHS number only where a sender says so) belong to a profile of that sender.
"""

from __future__ import annotations

import re
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
_NHS_DIGITS: Final = re.compile(r"\d{10}\Z")
_BLANKS: Final = str.maketrans("", "", " -\t")


class SenderProfile(Struct, frozen=True):
    """How to read one sender's identifiers. ``default_authority`` stands in where CX.4 is empty."""

    default_authority: str = ""

    def is_nhs_number(self, authority: str, type_: str) -> bool:
        """Whether an identifier of that authority (CX.4.1 or 4.2) and type (CX.5), upper case, is an NHS number."""
        return type_ in _NHS_TYPES or (authority in _NHS_AUTHORITIES and type_ in _NATIONAL_TYPES)


class ReadIdentifier(Struct, frozen=True):
    """One identifier as read: None when it is unusable, and the NHS number status where the sender tucked it in."""

    identifier: Identifier | None
    status: str = ""


def read_identifier(
    value: str, authority: str, type_: str, profile: SenderProfile, organisation: str
) -> ReadIdentifier:
    """Put one CX into our terms; ``value`` is CX.1, unescaped. An NHS number without its check digit is unusable."""
    found = _STATUS.match(type_)
    status = found["status"].zfill(2) if found else ""
    kind = (found["type"] if found else type_).strip().upper()
    authority = (authority or profile.default_authority).strip().upper()
    if profile.is_nhs_number(authority, kind):
        digits = value.translate(_BLANKS)
        return ReadIdentifier(Identifier(*NHS, digits) if nhs_number_is_valid(digits) else None, status)
    text = value.strip()
    return ReadIdentifier(Identifier(authority, kind, text, organisation) if text else None, status)


def nhs_number_is_valid(digits: str) -> bool:
    """Whether ten digits end in their check digit (modulus 11, NHS data dictionary, NHS NUMBER)."""
    if not _NHS_DIGITS.match(digits) or not digits.isascii() or digits == digits[0] * 10:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(range(10, 1, -1), digits, strict=False))
    return (11 - total % 11) % 11 == int(digits[9])

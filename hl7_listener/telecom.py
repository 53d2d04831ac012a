"""Phones and emails, wherever a sender put them. Pure.

A repetition of PID-13 or PID-14 (XTN, HL7 2.5.1 chapter 2A.89) may hold a phone, an email or both: the phone in XTN.1,
in XTN.12 or in pieces in XTN.5 to 7, the email in XTN.4 or in any component with an ``@``. Use and equipment codes are
kept but not believed: what counts as a mobile is its number, whatever slot it came in (SPEC 3.5).

Numbers become E.164 by ``phonenumbers``, addresses are judged by ``email-validator``. Together they cost more than all
else on the way to an acknowledgment, so there is a short way for what most of a feed is (a UK number, a plain ASCII
address); a property test holds the short ways against the libraries. And what is tried of one field has an end, or a
field of 20,000 odd addresses would take many seconds. The UK's test range 07700 900000 to 900999 (Ofcom, numbers for
drama use) counts as mobile, so that test feeds behave like real ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from msgspec import Struct
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from patient_records.model import EMAIL, LANDLINE, MOBILE, ContactPoint, Masked

MOST_POINTS: Final = 20
"""Contact points that are kept of one field: no person has more, and a hostile field must not fill a record."""

MOST_REPETITIONS: Final = 20
"""Repetitions of one field that are looked at."""

MOST_CANDIDATES: Final = 40
"""Texts of one field that are tried, usable or not: each may take a library's time."""

_UK_MOBILE: Final = re.compile(r"(?:\+?44|0044|0)(7(?:[1-57-9]\d{8}|624\d{6}))\Z", re.ASCII)
_UK_OTHER: Final = re.compile(r"(?:\+44|0044|0)([1-3]\d{9})\Z", re.ASCII)
_PLAIN_EMAIL: Final = re.compile(
    r"(?P<local>[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)"
    r"@(?P<domain>(?:[A-Za-z0-9]{1,20}(?:-[A-Za-z0-9]{1,20})?\.){1,4}(?P<top>com|org|net|uk|wales|scot|ie))\Z"
)
_LONGEST_LOCAL: Final = 64  # RFC 5321 4.5.3.1.1
_UK_TEST_RANGE: Final = re.compile(r"\+447700900\d{3}\Z")
_FILLING: Final = str.maketrans("", "", " -.()/\t")
_TRUNK_ZERO: Final = re.compile(r"^0?(\+44)\(?0\)?")
_MOBILE_TYPES: Final = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})
_LONGEST_EMAIL: Final = 254  # RFC 5321 4.5.3.1.3, less the angle brackets
_LONGEST_NUMBER: Final = 40
_FOREIGN_PRICE: Final = 8
"""Candidates that an address with letters beyond ASCII counts as: what IDNA asks of each letter takes its time."""
_LABEL: Final = r"(?:telephone|tel|phone|mobile|mob|cell|home|work|landline|number|no|[mhwt])(?![A-Za-z])"
_LABELLED: Final = re.compile(
    rf"\W*(?:{_LABEL}[\s.:=-]*)*(?P<number>[+(]?\d[^A-Za-z]*)(?:\(?{_LABEL}[\s).;:]*)*\Z", re.ASCII | re.IGNORECASE
)
"""A number with nothing but labels around it. Other words are somebody's (``Mum``), letters among digits a slip."""
_EXTENSION: Final = re.compile(r"\s*(?:extension|extn|ext|x)\W{0,2}\d{1,6}\s*\Z", re.ASCII | re.IGNORECASE)
_BETWEEN: Final = re.compile(r"[/;,]| or ", re.IGNORECASE)
_ENOUGH_DIGITS: Final = 9
_AROUND_AT: Final = re.compile(r"\s*@\s*")
_ADDRESS: Final = re.compile(r"[^\s<>;,\"'():]+@[^\s<>;,\"'():]+")
_VALUES: Final = (1, 4, 12)  # the components of an XTN that a null erases
_NULL: Final = '""'
_FIRST_ELSEWHERE: Final = 7  # XTN.7, the local number; before it there is none but that in XTN.1


class Contacts(Masked, Struct, frozen=True):
    """What one field says.

    ``unusable``: something stood there, and a number or address could not be made of it. ``erased``: a null stood where
    a number or address would. ``too_many``: more repetitions or candidates than are looked at.
    """

    points: tuple[ContactPoint, ...]
    unusable: bool = False
    erased: bool = False
    too_many: bool = False


def contact_points(repetitions: Sequence[Sequence[str]], region: str, unescape: Callable[[str], str]) -> Contacts:
    """All contact points of one field, given the components of each repetition (escaped, as received).

    ``region`` (ISO 3166-1, such as GB) reads national numbers. No more than :data:`MOST_REPETITIONS` and
    :data:`MOST_CANDIDATES` are looked at, so that the time has an end whatever the field holds.
    """
    found: dict[tuple[str, str], ContactPoint] = {}
    unusable = False
    left = MOST_CANDIDATES
    for components in repetitions[:MOST_REPETITIONS]:
        use = _component(components, 2)
        for texts in _candidates(components):
            point = None
            for raw in texts:
                text = _unescaped(raw, unescape)
                left -= _price(text)
                if left < 0 or len(found) >= MOST_POINTS:
                    return Contacts(tuple(found.values()), unusable, too_many=True)
                point = point_of(text, region, use)
                if point is not None:
                    found.setdefault((point.kind, point.value), point)
                    break
            if point is None:
                pieces = _apart(_unescaped(texts[0], unescape))
                left -= sum(map(_price, pieces))
                if left < 0:
                    return Contacts(tuple(found.values()), unusable, too_many=True)
                points = [point_of(piece, region, use) for piece in pieces]
                found.update({(one.kind, one.value): one for one in points if one is not None})
                unusable = unusable or not points or None in points
    too_many = len(repetitions) > MOST_REPETITIONS
    if found or unusable:
        return Contacts(tuple(found.values()), unusable, too_many=too_many)
    looked_at = repetitions[:MOST_REPETITIONS]
    erased = any(_raw(components, n) == _NULL for components in looked_at for n in _VALUES)
    spoken = any(any(components) for components in looked_at)
    return Contacts((), spoken and not erased, erased, too_many)


def _unescaped(text: str, unescape: Callable[[str], str]) -> str:
    """Undo the escapes of a text that is not too long to be anything: what that costs grows with the text."""
    return unescape(text) if len(text) <= _LONGEST_EMAIL else text


def _price(text: str) -> int:
    foreign = "@" in text and (not text.isascii() or "xn--" in text.lower())
    return _FOREIGN_PRICE if foreign and len(text) <= _LONGEST_EMAIL else 1


def point_of(text: str, region: str, use: str = "") -> ContactPoint | None:
    """The contact point that a text is: a phone number, an email address, or None when it is neither."""
    text = text.strip()
    if "@" in text:
        address = email_address(text)
        return None if address is None else ContactPoint(EMAIL, address, use)
    return _phone(text, region, use)


def email_address(text: str) -> str | None:
    """The address in its normal form (RFC 5322, IDNA), or None when it cannot be written to. Asks no name server."""
    if len(text) > _LONGEST_EMAIL:
        return None
    plain = _PLAIN_EMAIL.match(text)
    if plain and len(plain["local"]) <= _LONGEST_LOCAL:
        return f"{plain['local']}@{plain['domain'].lower()}"
    try:
        # test_environment lets .test and .invalid-like names of fixtures through: they reach nobody.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        return None


def _phone(text: str, region: str, use: str) -> ContactPoint | None:
    if len(text) > _LONGEST_NUMBER:
        return None
    bare = _TRUNK_ZERO.sub(r"\1", text.translate(_FILLING))
    return _short_way(bare, region, use) or _long_way(_without_labels(text, bare), region, use)


def _without_labels(text: str, bare: str) -> str:
    """Take the words off a number that only say what it is (``Tel:``, ``(mobile)``, ``ext 4``); nothing for others."""
    if not any(map(str.isalpha, bare)):
        return bare
    found = _LABELLED.match(_EXTENSION.sub("", text))
    return "" if found is None else _TRUNK_ZERO.sub(r"\1", found["number"].translate(_FILLING))


def _short_way(bare: str, region: str, use: str) -> ContactPoint | None:
    if region != "GB" and not bare.startswith(("+44", "0044")):
        return None
    if match := _UK_MOBILE.match(bare):
        return ContactPoint(MOBILE, f"+44{match[1]}", use)
    if match := _UK_OTHER.match(bare):
        return ContactPoint(LANDLINE, f"+44{match[1]}", use)
    return None


def _long_way(bare: str, region: str, use: str) -> ContactPoint | None:
    try:
        number = phonenumbers.parse(bare, region)
    except NumberParseException:
        return None
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    if _UK_TEST_RANGE.match(e164):
        return ContactPoint(MOBILE, e164, use)
    if not phonenumbers.is_possible_number(number):
        return None
    kind = MOBILE if phonenumbers.number_type(number) in _MOBILE_TYPES else LANDLINE
    return ContactPoint(kind, e164, use)


def _candidates(components: Sequence[str]) -> list[list[str]]:
    """The texts of one XTN repetition that may be a number or an address.

    Each address stands alone. The places where the one number may be stand together, best first, and the first usable
    one counts: a placeholder in XTN.1 (``()-``, ``unknown``) must not hide the number in XTN.12 or in XTN.5 to 7.
    """
    texts = [[text.strip()] for text in components if "@" in text]
    places = [_component(components, 1)]
    if len(components) >= _FIRST_ELSEWHERE:
        places += (_component(components, 12), _in_pieces(components))
    numbers = [text for text in places if text and "@" not in text]
    if numbers:
        texts.append(numbers)
    return texts


def _apart(text: str) -> list[str]:
    """Take a text apart that is no number and no address as it is; nothing where there is nothing to take apart.

    Two or more whole numbers (``07700 900123 / 07700 900124``), or the addresses without what is around them
    (``Ada <ada@example.org>;``, ``mailto:``).
    """
    if len(text) > _LONGEST_EMAIL:
        return []
    if "@" in text:
        found = [one.rstrip(".") for one in _ADDRESS.findall(_AROUND_AT.sub("@", text))]
        return found if found != [text] else []
    parts = [part for part in _BETWEEN.split(text) if part.strip()]
    whole = all(sum(map(str.isdigit, part)) >= _ENOUGH_DIGITS for part in parts)
    return parts if whole and len(parts) > 1 else []


def _in_pieces(components: Sequence[str]) -> str:
    country, area, local = (_component(components, n) for n in (5, 6, 7))
    if not local:
        return ""
    if local.startswith(("+", "00")):  # a whole number, in the last piece alone
        return local
    if country.strip("+ ()").isdigit():
        return f"+{country.lstrip('+')}{area.lstrip('0') if area else local.lstrip('0')}{local if area else ''}"
    return f"{area}{local}"


def _component(components: Sequence[str], number: int) -> str:
    text = _raw(components, number)
    return "" if text == _NULL else text


def _raw(components: Sequence[str], number: int) -> str:
    return components[number - 1].strip() if len(components) >= number else ""

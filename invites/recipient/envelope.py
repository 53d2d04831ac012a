"""The lines behind an envelope's window.

Print houses take three to seven lines (GOV.UK Notify, ``notifications_utils/postal_address.py``: MIN_LINES, MAX_LINES),
the name first and the postcode last of a British address. A line holds 40 characters at the size that sorting machines
read. Too long a line is folded at a comma or a blank; too many lines are made fewer by leaving out the county, which
Royal Mail does not need, and by joining short neighbours. What still does not fit is not sent: half an address is no
address.
"""

from __future__ import annotations

import re
import textwrap
from functools import lru_cache
from itertools import pairwise
from typing import Final

from babel import Locale
from babel.core import get_global

from invites.recipient.person_name import full_name, short_name, tidy
from patient_records.model import Address, PersonName

FEWEST: Final = 3
LINES: Final = 7
WIDTH: Final = 40

_AT_HOME: Final = frozenset(
    {"", "GB", "GBR", "UK", "826", "UNITED KINGDOM", "GREAT BRITAIN", "ENGLAND", "WALES", "SCOTLAND", "CYMRU"}
    | {"NORTHERN IRELAND", "ENG", "WLS", "SCT", "NIR", "GB-ENG", "GB-WLS", "GB-SCT", "GB-NIR"}
)
_POSTCODE: Final = re.compile(r"([A-Z]{1,2}[0-9][A-Z0-9]?)\s*([0-9][A-Z]{2})")


def fits_as_it_is(name: str, address: Address) -> bool:
    """Whether name and address surely make an envelope unfolded: a quick yes, or a no that means "try"."""
    lines, city, county, postcode, country = (
        address.lines, address.city, address.county, address.postcode, address.country
    )  # fmt: skip
    if 3 + len(lines) + bool(county) + bool(country) > LINES:
        return False
    return len(max(name, city, county, postcode, country, *lines, key=len)) <= WIDTH and _differ(lines[0], postcode)


def _differ(line: str, postcode: str) -> bool:
    """Whether both are there, tidy, and surely not the same, so that with the name they are three lines."""
    if not line.isprintable() or not postcode.isprintable() or "  " in line or "  " in postcode:
        return False
    line, postcode = line.strip(), postcode.strip()
    return bool(line) and bool(postcode) and line.casefold() != postcode.casefold()


def envelope(name: PersonName, address: Address) -> tuple[str, ...] | None:
    """Give three to seven lines of at most 40 characters, the name first; None when it cannot be done."""
    head = full_name(name)
    if len(head) > WIDTH:
        head = short_name(name)
    return _fitted(_folded([head]), _address_lines(address), _county(address), _tail(address))


def _fitted(
    head: list[str] | None, middle: list[str] | None, county: list[str], tail: list[str]
) -> tuple[str, ...] | None:
    if not head or not middle or any(len(line) > WIDTH for line in tail):
        return None
    room = LINES - len(head) - len(tail)
    if len(middle) + len(county) <= room and all(len(line) <= WIDTH for line in county):
        middle = [*middle, *(line for line in county if line.casefold() not in map(str.casefold, middle))]
    while len(middle) > room:
        joined = _joined(middle)
        if joined is None:
            return None
        middle = joined
    lines = (*head, *middle, *tail)
    return lines if len(lines) >= FEWEST else None


def _address_lines(address: Address) -> list[str] | None:
    """Street lines and town, without repeats, folded to the width."""
    lines = (tidy(line) for line in (*address.lines, address.city))
    unique = {line.casefold(): line for line in lines if line and line.casefold() != tidy(address.postcode).casefold()}
    return _folded(list(unique.values()))


def _folded(lines: list[str]) -> list[str] | None:
    folded = [part for line in lines for part in _wrapped(line)]
    return None if any(len(part) > WIDTH for part in folded) else folded


def _wrapped(line: str) -> list[str]:
    """Fold at the last comma that fits, where people would, else at blanks."""
    if len(line) <= WIDTH:
        return [line]
    comma = line.rfind(", ", 0, WIDTH + 2)
    if comma > 0:
        return [line[:comma], *_wrapped(line[comma + 2 :])]
    return textwrap.wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False)


def _joined(lines: list[str]) -> list[str] | None:
    """Join the shortest two neighbours that fit one line; None when no two do."""
    pairs = [(len(first) + len(second) + 2, at) for at, (first, second) in enumerate(pairwise(lines))]
    length, at = min(pairs, default=(WIDTH + 1, 0))
    if length > WIDTH:
        return None
    return [*lines[:at], f"{lines[at].rstrip(',')}, {lines[at + 1]}", *lines[at + 2 :]]


@lru_cache(maxsize=512)
def _country(said: str) -> str:
    """Write a country's ISO 3166 code as its name, for no foreign post office reads FRA; what is no code stays."""
    if said in _AT_HOME or len(said) not in (2, 3):
        return said
    code = said if len(said) == 2 else str((get_global("territory_aliases").get(said) or [said])[0])  # noqa: PLR2004
    return str(Locale("en").territories.get(code, said)).upper()


def _county(address: Address) -> list[str]:
    county = tidy(address.county)
    return [county] if county and county.casefold() != tidy(address.city).casefold() else []


def _tail(address: Address) -> list[str]:
    """Postcode, in its printed form if it is a British one, and the country of a letter that goes abroad."""
    postcode, country = tidy(address.postcode).upper(), _country(tidy(address.country).upper())
    british = _POSTCODE.fullmatch(postcode)
    if british:
        postcode = f"{british[1]} {british[2]}"
    return [line for line in (postcode, "" if country in _AT_HOME else country) if line]

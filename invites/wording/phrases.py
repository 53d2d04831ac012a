"""How a date, a code and the join link are written for a patient."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

_GROUP: Final = 5

_MONTHS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "en": "January February March April May June July August September October November December",
        "cy": "Ionawr Chwefror Mawrth Ebrill Mai Mehefin Gorffennaf Awst Medi Hydref Tachwedd Rhagfyr",
    }
)


def in_words(day: date, language: str) -> str:
    """Write a date with its month as a word, which nobody can read as another; digits where we lack the words."""
    months = _MONTHS.get(language)
    return f"{day:%d/%m/%Y}" if months is None else f"{day.day} {months.split()[day.month - 1]} {day.year}"


def at_clock(moment: datetime, language: str) -> str:
    """Write a moment as its local time and day, in the zone that it is given in."""
    return f"{moment:%H:%M}, {in_words(moment.date(), language)}"


def in_groups(code: str) -> str:
    """Write a code in groups of five (SPEC 5.2)."""
    return " ".join(code[at : at + _GROUP] for at in range(0, len(code), _GROUP))


def join_page(public_url: str) -> str:
    """Give the address of the join page, without codes."""
    return f"{public_url.rstrip('/')}/join"


def join_link(public_url: str, code: str, token: str) -> str:
    """Give the join link. The codes ride in the fragment, which no browser sends, so that they reach no log."""
    return f"{join_page(public_url)}#c={code}&t={token}"

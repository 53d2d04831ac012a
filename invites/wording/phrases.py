"""How a date, a code and the join link are written for a patient."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Final

from babel import Locale, UnknownLocaleError
from babel.dates import format_date

_GROUP: Final = 5
_LOCALES: Final = {"en": "en_GB"}
"""Where a language alone would be taken for another country's way of writing dates."""


@lru_cache(maxsize=1024)
def in_words(day: date, language: str) -> str:
    """Write a date as the language does, with its month as a word, which nobody can read as another.

    Source: CLDR's long format. Digits where CLDR does not know the language.
    """
    try:
        return format_date(day, "long", locale=Locale.parse(_LOCALES.get(language, language)))
    except (UnknownLocaleError, ValueError):
        return f"{day:%d/%m/%Y}"


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

"""A person's name as it stands on an envelope and after "Dear".

Registration systems often keep names in capitals. A letter that shouts is read as a demand, so names wholly in capitals
are set in ordinary case; a name in mixed case is somebody's own spelling and stays untouched.
"""

from __future__ import annotations

import re
from typing import Final

from patient_records.model import PersonName

_WORD: Final = re.compile(r"[^\W\d_]+")
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
_SHORTEST_NAME: Final = 2


def tidy(text: str) -> str:
    """Give the text on one line: no control or direction characters, single blanks, none at the ends."""
    if not text.isprintable():
        text = _UNSEEN.sub(" ", text)
    return " ".join(text.split())


def full_name(name: PersonName | None) -> str:
    """Give title, given name, family name and suffix on one line; empty when neither given nor family name is known."""
    if name is None:
        return ""
    given, family = _given(tidy(name.given)), _in_case(tidy(name.family))
    if not given and not family:
        return ""
    return " ".join(part for part in (_in_case(tidy(name.prefix)), given, family, tidy(name.suffix)) if part)


def short_name(name: PersonName) -> str:
    """Give the name with the given name as an initial, for an envelope too narrow for all of it."""
    given = tidy(name.given)[:1]
    return " ".join(part for part in (_in_case(tidy(name.prefix)), given, _in_case(tidy(name.family))) if part)


def _given(text: str) -> str:
    """Set a given name in case, but leave initials such as ``TJ`` alone."""
    if len(text) <= _SHORTEST_NAME and text[-1:] not in "AEIOUY":
        return text
    return _in_case(text)


def _in_case(text: str) -> str:
    return _WORD.sub(_capitalised, text) if text.isupper() else text


def _capitalised(word: re.Match[str]) -> str:
    letters = word.group()
    if letters.startswith("MC") and len(letters) > _SHORTEST_NAME:
        return "Mc" + letters[2:].capitalize()
    return letters.capitalize()

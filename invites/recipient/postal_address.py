"""Which of a person's addresses post may go to.

A letter carries codes that open a record, so the question is not only whether it would arrive but who would open it.
Whoever is in prison or has no home is not at their other addresses either: one such address among the current ones,
and no letter goes anywhere (SPEC 5.1).

Uses are HL7 table 0190 (HL7 2.5.1, chapter 2A.86.7). Postcodes that begin with ZZ99 are the NHS's pseudo postcodes
(NHS Data Dictionary): no fixed abode, abroad, not known; no postman finds them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from patient_records.model import Address

NO_ADDRESS: Final = "no_postal_address"
NO_FIXED_ABODE: Final = "no_fixed_abode"
PRISON: Final = "prison_address"

_NEVER: Final = frozenset({"BA", "N", "BDL", "BR", "F", "TM"})
"""Bad address, and places of birth and origin: nobody lives there now."""

_RANK: Final = {use: rank for rank, use in enumerate(("M", "H", "C", "", "P", "L", "RH"))}
"""Where post is asked to go, then where somebody lives; offices, bills and firms come last, in the sender's order."""

_HINTS: Final = (
    *("HM", "H.M", "H M", "MAJESTY", "PRISON", "YOI", "Y.O", "OFFENDER"),
    *("NFA", "N.F", "N F", "N/F", "FIXED", "HOMELESS", "NO ABODE", "KNOWN", "ZZ99"),
)
"""One of these stands in every text that the rules below match. Asking for them first is ten times as quick."""

_PRISON: Final = re.compile(
    r"\b(?:H\.? ?M\.?|(?:HER|HIS) MAJESTY['\u2019]?S) ?(?:P\b|PRISON|Y\.?O\.?I\b|YOUNG|REMAND)"
    r"|\bY\.?O\.?I\b|\bYOUNG OFFENDERS?\b|\b(?<!OLD )PRISON(?=,|\n|$)"
)
"""The last of these takes what ends in the word (``Wakefield Prison``); ``Prison Lane`` is a street, and ``The Old
Prison`` a house."""
_NO_FIXED_ABODE: Final = re.compile(
    r"\bN[./ ]?F[./ ]?A\b|\bNO (?:FIXED )?ABODE\b|\bNO FIXED ADDRESS\b"
    r"|(?:^|\n)(?:(?:ADDRESS )?(?:UNKNOWN|NOT KNOWN)|HOMELESS)(?=\n|$)|(?:^|\n)ZZ99"
)


def postal_address(addresses: Sequence[Address]) -> Address | str:
    """Give the address that post goes to, or the code of the reason why none does."""
    best: Address | None = None
    best_rank = len(_RANK) + 1
    for address in addresses:
        use = address.use
        if use in _NEVER:
            continue
        excluded = _excluded(address)
        if excluded is not None:
            return excluded
        rank = _RANK.get(use, len(_RANK))
        if rank < best_rank and _deliverable(address):
            best, best_rank = address, rank
    return best if best is not None else NO_ADDRESS


def _excluded(address: Address) -> str | None:
    text = "\n".join((*address.lines, address.city, address.postcode)).upper()
    for hint in _HINTS:
        if hint in text:
            return _rule(text)
    return None


def _rule(text: str) -> str | None:
    if _PRISON.search(text):
        return PRISON
    return NO_FIXED_ABODE if _NO_FIXED_ABODE.search(text) else None


def _deliverable(address: Address) -> bool:
    """At least one line, and a city or a postcode."""
    return bool(address.lines) and bool(address.city or address.postcode) and any(map(_visible, address.lines))


def _visible(line: str) -> bool:
    return any(map(str.isalnum, line))

"""The pre-flight: what a print house would send back is not handed to it (SPEC 6).

The rules are those of GOV.UK Notify, whose print provider refuses all else (github.com/alphagov:
notifications-template-preview, app/precompiled.py; notifications-utils, recipient_validation/postal_address.py), and
fit DL and C5 window envelopes.

A PDF is read with pypdf; where its ink may be, :mod:`invites.channels.ink` works out from the pages' own operators.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from babel import Locale

from invites.channels.ink import MILLIMETRE, Box, ink

FEWEST_LINES: Final = 3
MOST_LINES: Final = 7
MOST_PAGES: Final = 4
"""Two sheets: what a second-class letter in a DL envelope weighs at most with us."""

ADDRESS_LINES: Final = "address_line_count"
ADDRESS_CHARACTERS: Final = "address_characters"
NO_POSTCODE: Final = "address_without_postcode"
UNREADABLE: Final = "letter_unreadable"
PAGES: Final = "letter_too_long"
NOT_A4: Final = "letter_not_a4"
FONTS: Final = "letter_font_not_embedded"
OUTSIDE: Final = "letter_outside_print_area"
CLEAR_ZONE: Final = "letter_in_clear_zone"
NO_ADDRESS: Final = "letter_without_address"

_POSTCODE: Final = re.compile(r"(?:GIR 0AA|[A-PR-UWYZ][A-HK-Y]?[0-9][0-9A-HJKMNPR-Y]? [0-9][ABD-HJLNP-UW-Z]{2})")
"""The form that Royal Mail's sorting machines read (BS 7666): upper case, one blank."""

_FORCES: Final = re.compile(r"BFPO \d{1,4}")
_NOT_FIRST: Final = frozenset('@()=[]"\\/,<>~')
"""No line begins with one of these (postal_address.py, INVALID_CHARACTERS_AT_START_OF_ADDRESS_LINE)."""

_A4: Final = (210.0, 297.0)
_A4_SLACK: Final = 2.0
SLACK: Final = 1.0
"""Millimetres that Notify grants at each border, for the blur of a letter's edge."""

PRINTABLE: Final = Box(15.0, 5.0, 195.0, 292.0)
WINDOW: Final = Box(24.6, 39.5, 120.0, 66.3)
AREAS: Final = (
    Box(15.0, 95.0, 195.0, 292.0),  # the text
    Box(125.0, 5.0, 195.0, 95.0),  # the sender's details
    Box(15.0, 5.0, 195.0, 30.0),  # the head, above the window
    WINDOW,
)
"""Where ink may be on a first page, in millimetres from its top left corner; all else is kept clear."""


def address_fault(lines: Sequence[str]) -> str | None:
    """Say as a code what a print house has against these address lines, or None."""
    if not FEWEST_LINES <= len(lines) <= MOST_LINES:
        return ADDRESS_LINES
    if any(not line.strip() or line[0] in _NOT_FIRST or not line.isprintable() for line in lines):
        return ADDRESS_CHARACTERS
    last = lines[-1]
    if _POSTCODE.fullmatch(last) or _FORCES.fullmatch(last) or last.casefold() in _countries():
        return None
    return NO_POSTCODE


def letter_fault(pdf: bytes) -> str | None:
    """Say as a code why a print house would not take this letter, or None."""
    import pypdf  # noqa: PLC0415 (loaded with the first letter)

    try:
        reader = pypdf.PdfReader(io.BytesIO(pdf))
        return _fault(reader)
    except (pypdf.errors.PyPdfError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return UNREADABLE


def _fault(reader: Any) -> str | None:
    if reader.is_encrypted:
        return UNREADABLE
    pages = list(reader.pages)
    if not 1 <= len(pages) <= MOST_PAGES:
        return PAGES
    for number, page in enumerate(pages):
        fault = _page_fault(page, first=number == 0)
        if fault:
            return fault
    return None


def _page_fault(page: Any, *, first: bool) -> str | None:
    sides = (float(page.mediabox.width) / MILLIMETRE, float(page.mediabox.height) / MILLIMETRE)
    if any(abs(side - wanted) > _A4_SLACK for side, wanted in zip(sides, _A4, strict=True)) or page.rotation % 180:
        return NOT_A4
    if not all(map(_embedded, page["/Resources"].get("/Font", {}).values())):
        return FONTS
    boxes = ink(page)
    if not all(PRINTABLE.holds(box, SLACK) for box in boxes):
        return OUTSIDE
    if first and not all(any(area.holds(box, SLACK) for area in AREAS) for box in boxes):
        return CLEAR_ZONE
    if first and not any(WINDOW.holds(box, SLACK) for box in boxes):
        return NO_ADDRESS
    return None


def _embedded(font: Any) -> bool:
    """Whether a font's glyphs are in the file: a Type 3 font is its own, others have a file (ISO 32000-1, 9.9)."""
    font = font.get_object()
    if font["/Subtype"] == "/Type3":
        return True
    inner = font["/DescendantFonts"][0].get_object() if font["/Subtype"] == "/Type0" else font
    descriptor = inner.get("/FontDescriptor", {}).get_object() if "/FontDescriptor" in inner else {}
    return bool({"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor))


@cache
def _countries() -> frozenset[str]:
    """Every country's name in English and Welsh (CLDR), as an envelope's last line may have it."""
    names = (name for language in ("en", "cy") for name in Locale(language).territories.values())
    return frozenset(name.casefold() for name in names) | {"usa", "republic of ireland", "eire", "holland"}

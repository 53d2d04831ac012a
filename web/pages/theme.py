"""A hospital's colour, as a style sheet of its own: the content security policy allows no style in a page.

The colour is used for the bar at the top, for buttons and links. Whatever hospital chooses it, text on it and in it
must be readable: a contrast of 4.5 to 1 with white (WCAG 2.2, 1.4.3) is asked for.
"""

from __future__ import annotations

import re
from typing import Final

LEAST_CONTRAST: Final = 4.5
DEFAULT_COLOUR: Final = "#0b3c7d"

_COLOUR: Final = re.compile(r"#[0-9a-f]{6}").fullmatch


def contrast_with_white(colour: str) -> float:
    """Give the contrast ratio of ``#rrggbb`` with white (WCAG 2.2, definition). Raises ValueError for another form."""
    if not _COLOUR(colour.lower()):
        raise ValueError("a colour is written #rrggbb")
    red, green, blue = (_linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)


def theme(colour: str) -> str:
    """Give the style sheet that sets the hospital's colour, and a darker one for what is pointed at."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    darker = "".join(f"{part * 7 // 10:02x}" for part in (red, green, blue))
    tint = "".join(f"{255 - (255 - part) // 12:02x}" for part in (red, green, blue))
    return f":root {{ --brand: {colour.lower()}; --brand-dark: #{darker}; --brand-tint: #{tint}; }}\n"


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4  # noqa: PLR2004 (sRGB, IEC 61966-2-1)

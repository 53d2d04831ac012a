"""Which language a person is written to in.

PID-15 is a free code: HL7's example table has ISO 639, systems send ``cy``, ``CY``, ``cym``, ``wel`` or ``cy-GB``, and
some their own numbers. What CLDR knows as a language counts; anything else is read as no wish.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from babel.core import get_global

_TWO: Final = 2
_THREE: Final = 3


@lru_cache(maxsize=256)
def language_of(said: str) -> str:
    """Give the ISO 639-1 code that such a code means, or an empty text."""
    code = said.strip().lower().replace("_", "-").partition("-")[0]
    if len(code) == _THREE and code.isascii() and code.isalpha():
        code = str(get_global("language_aliases").get(code, ""))
    return code if len(code) == _TWO and code.isascii() and code.isalpha() else ""

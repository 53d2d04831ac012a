"""What fits a text message.

Theory. A part of a text message carries 140 octets. In the GSM 7-bit default alphabet that is 160 characters
(septets); characters of the extension table cost two (3GPP TS 23.038, 6.2.1). One character outside both turns the
whole message into UCS-2, 70 characters of 16 bits a part. A longer message is cut into parts, each with a header of six
octets that lets the telephone join them again: 153 septets or 67 UCS-2 characters remain (3GPP TS 23.040, 9.2.3.24.1).

The cut is the gateway's, made where the part is full. A telephone that shows the parts apart, or loses one, would show
half a code, so :func:`keep_whole` fills a part with blanks at the end of a line, where nobody sees them, until the
next line, with its code or link, opens the next part. Some gateways use the longer header of seven octets
(9.2.3.24.8) and cut one character earlier: the last place of a part is therefore left to blanks too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION: Final = frozenset("\f^{}\\[~]|€")
_SEVEN_BIT: Final = _BASIC | _EXTENSION

_LIKENESSES: Final = (
    ("\u2018\u2019\u201a\u201b\u2032\u00b4`", "'"),
    ("\u201c\u201d\u201e\u2033\u00ab\u00bb", '"'),
    ("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2022\u00b7", "-"),
    ("\u00a0\u2002\u2003\u2009\u202f\t", " "),
    ("\u00ad\u200b\u200c\u200d\ufeff", ""),
    ("\u2026", "..."),
    ("\u2044", "/"),
    ("\u2122", "(TM)"),
    ("\u00ae", "(R)"),
    ("\u00a9", "(C)"),
    ("\u0152", "OE"),
    ("\u0153", "oe"),
    ("\u0141", "L"),
    ("\u0142", "l"),
    ("\u0110", "D"),
    ("\u0111", "d"),
    ("\u00de", "Th"),
    ("\u00fe", "th"),
)
"""Quotes, dashes, blanks, invisible characters and letters, as the alphabet's characters that are read alike."""

_PLAIN: Final = str.maketrans({character: plain for characters, plain in _LIKENESSES for character in characters})

_MOST_PUSHES: Final = 32
"""More pieces than that are in no text of a few parts."""

SINGLE_7BIT: Final = 160
PART_7BIT: Final = 153
SINGLE_UCS2: Final = 70
PART_UCS2: Final = 67


def is_gsm7(text: str) -> bool:
    """Whether every character is in the default alphabet or its extension."""
    return _SEVEN_BIT.issuperset(text)


def transliterate(text: str) -> str:
    """Put typographic characters and accents as the default alphabet has them.

    A text that still does not fit the alphabet comes back as it was: then it goes as UCS-2, and may keep its quotes.
    """
    if is_gsm7(text):
        return text
    plain = "".join(map(_in_alphabet, unicodedata.normalize("NFC", text).translate(_PLAIN)))
    return plain if is_gsm7(plain) else text


def units(text: str) -> int:
    """Give the text's length as a gateway counts it: septets, or 16-bit UCS-2 characters."""
    if is_gsm7(text):
        return len(text) + sum(map(text.count, _EXTENSION))
    return len(text.encode("utf-16-le")) // 2


def parts(text: str) -> tuple[str, ...]:
    """Cut the text where a gateway would: one part, or several of 153 septets (67 characters in UCS-2)."""
    return tuple([text[start:end] for start, end in pairwise([0, *_cuts(text), len(text)])])


def keep_whole(text: str, whole: Sequence[str]) -> str | None:
    """Pad the text so that none of these pieces, wherever it stands, straddles two parts; None where that cannot be.

    A piece longer than a part cannot be kept whole, nor can one that its own padding pushes for ever.
    """
    for _ in range(_MOST_PUSHES):
        found = _first_straddled(text, whole)
        if found is None:
            return text
        padded = _pushed(text, *found)
        if padded is None:
            return None
        text = padded
    return None


def _first_straddled(text: str, whole: Sequence[str]) -> tuple[int, str] | None:
    """Find the first of all these pieces that a cut goes through: where it starts, and the piece."""
    cuts = _cuts(text)
    if not cuts:
        return None
    places = ((start, piece) for piece in whole if piece for start in _places(text, piece))
    return min(((start, piece) for start, piece in places if _straddled(cuts, start, piece)), default=None)


def _places(text: str, piece: str) -> Iterator[int]:
    start = text.find(piece)
    while start >= 0:
        yield start
        start = text.find(piece, start + 1)


def _pushed(text: str, start: int, piece: str) -> str | None:
    """Fill the part before the piece; by its whole line first, so that its label stays with it."""
    for at in (text.rfind("\n", 0, start), start):
        if at > 0:
            blanks = _room_left(text, at + (text[at] == "\n"))
            padded = text[:at] + " " * blanks + text[at:]
            if not _straddled(_cuts(padded), start + blanks, piece):
                return padded
    return None


def _room_left(text: str, at: int) -> int:
    """How many blanks put before offset ``at`` make it the first of the next part."""
    _, room = _capacity(text)
    start = max((cut for cut in _cuts(text) if cut < at), default=0)
    return room - sum(_costs(text)[start:at])


def _straddled(cuts: Sequence[int], start: int, piece: str) -> bool:
    """Whether a cut goes through the piece, or the piece takes the last place before one."""
    end = start + len(piece)
    return any(start < cut <= end for cut in cuts)


def _cuts(text: str) -> list[int]:
    """Give the offsets at which the second and later parts begin."""
    single, room = _capacity(text)
    length = units(text)
    if length <= single:
        return []
    if length == len(text):
        return list(range(room, length, room))
    cuts, used = [], 0
    for at, cost in enumerate(_costs(text)):
        if used + cost > room:
            cuts.append(at)
            used = 0
        used += cost
    return cuts


def _capacity(text: str) -> tuple[int, int]:
    return (SINGLE_7BIT, PART_7BIT) if is_gsm7(text) else (SINGLE_UCS2, PART_UCS2)


def _costs(text: str) -> list[int]:
    """Give the places that each character takes: two from the extension table, and beyond the 16-bit plane."""
    if is_gsm7(text):
        return [1 + (character in _EXTENSION) for character in text]
    return [1 + (character > "\uffff") for character in text]


def _in_alphabet(character: str) -> str:
    if character in _SEVEN_BIT:
        return character
    return "".join(part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part))

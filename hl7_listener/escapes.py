r"""Escape sequences: how a field carries a delimiter, a byte or a line break (HL7 2.5.1 chapter 2.7).

They are undone after splitting, never before, or a ``\F\`` would become a field separator. Known sequences are
replaced: ``\F\ \S\ \T\ \R\ \E\`` by the delimiters of the message, ``\P\`` by its truncation character where it
declared one, ``\Xhh..\`` by those bytes in the charset of the message, ``\.br\`` by a line feed; ``\H\`` and ``\N\``
(highlighting) vanish. Everything else stays as it came: text such as ``C:\temp\x`` must survive.

The search is for known sequences only, so a stray backslash never swallows a good sequence behind it, and every
character is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from hl7_listener.delimiters import NONE, Delimiters

_LONGEST_SEQUENCE: Final = 64  # that anybody would cut from the beginning of a text; most have five characters
_CONTROLS: Final = {"\r": "X0D", "\n": ".br", "\x0b": "X0B", "\x1c": "X1C", "\0": "X00"}


@lru_cache(maxsize=256)
def _reading(delimiters: Delimiters) -> tuple[re.Pattern[str], Mapping[str, str]]:
    meanings = {
        "F": delimiters.field,
        "S": delimiters.component,
        "T": delimiters.subcomponent,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "P": delimiters.truncation or NONE,
    }
    known = {name: character for name, character in meanings.items() if character != NONE}
    known |= {"H": "", "N": "", ".br": "\n", ".BR": "\n"}
    escape = re.escape(delimiters.escape)
    names = "|".join(re.escape(name) for name in known)
    return re.compile(f"{escape}({names}|X(?:[0-9A-Fa-f]{{2}})+){escape}"), known


@lru_cache(maxsize=256)
def _writing(delimiters: Delimiters) -> dict[int, str]:
    escape = delimiters.escape
    names = {
        delimiters.field: "F",
        delimiters.component: "S",
        delimiters.subcomponent: "T",
        delimiters.repetition: "R",
        escape: "E",
    }
    if delimiters.truncation:
        names[delimiters.truncation] = "P"
    names |= _CONTROLS if "." not in names else {**_CONTROLS, "\n": "X0A"}
    if escape == NONE:
        return {ord(character): " " for character in names}
    return {ord(character): f"{escape}{name}{escape}" for character, name in names.items()}


def unescape(text: str, delimiters: Delimiters, charset: str, most: int | None = None) -> str:
    """Undo the escape sequences of a part of a field (component, subcomponent). Never raises.

    ``most`` is for who wants no more than the beginning: so many characters as received, less a sequence that would be
    cut. A sequence costs a microsecond, and a megabyte can hold 300,000.
    """
    if delimiters.escape not in text:
        return text if most is None else text[:most]
    pattern, known = _reading(delimiters)
    if most is not None and len(text) > most:
        text = _beginning(text, pattern, most)
    parts = pattern.split(text)  # text and name by turns; in half the time that a function for each match takes
    parts[1::2] = [
        known[name] if name in known else _characters(bytes.fromhex(name[1:]), charset) for name in parts[1::2]
    ]
    return "".join(parts)


def _beginning(text: str, pattern: re.Pattern[str], most: int) -> str:
    for match in pattern.finditer(text, 0, 2 * most + _LONGEST_SEQUENCE):
        if match.end() > most:
            return text[: min(match.start(), most)]
    return text[:most]


def _characters(data: bytes, charset: str) -> str:
    r"""Read the bytes of an ``\Xhh..\`` in the charset of the message, or else as Windows-1252, then Latin-1."""
    for codec in (charset, "cp1252"):
        try:
            return data.decode(codec)
        except UnicodeError:
            continue
    return data.decode("latin-1")


def escape(text: str, delimiters: Delimiters) -> str:
    """Make any text fit to be a component: :func:`unescape` gives it back.

    Where the message has no escape character, delimiters and control characters become blanks.
    """
    return text.translate(_writing(delimiters))

r"""The characters that divide a message, as its sender declares them in MSH-1 and MSH-2 (HL7 2.5.1 chapter 2.5.4).

Real senders leave some out, double the backslash (``^~\\&``, a string escaped once too often) or add the truncation
character of 2.7 (chapter 2.5.5.2 there). A delimiter that is missing, or that cannot be one (a letter, a digit, a
blank), gets its default. Where the default already serves for something else the message has no such delimiter, which
:data:`NONE` says: a terminator never occurs inside a segment, so splitting by it changes nothing.
"""

from __future__ import annotations

from functools import cached_property, lru_cache
from typing import Final

from msgspec import Struct

NONE: Final = "\r"
"""Stands for a delimiter that the message does not have; no segment contains it."""

MAX_PARTS: Final = 100
"""Components of a field, and subcomponents of a component, that are looked at. The longest data types have 25 (XAD in
2.8 has 23): more is an attack or a mistake, and its pieces must not fill the memory."""


class Delimiters(Struct, frozen=True, dict=True):
    """One character each; ``truncation`` is empty where none was declared."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    @property
    def encoding_characters(self) -> str:
        """MSH-2 as we write it: what the sender declared, mended."""
        declared = (self.component, self.repetition, self.escape, self.subcomponent, self.truncation)
        return "".join(declared).replace(NONE, "")

    @cached_property
    def within_fields(self) -> tuple[str, str, str, str]:
        """Component, repetition, escape and subcomponent delimiter, in the order of MSH-2."""
        return (self.component, self.repetition, self.escape, self.subcomponent)

    def components(self, repetition: str) -> list[str]:
        """Split one repetition into raw components, at most :data:`MAX_PARTS` of them."""
        return repetition.split(self.component, MAX_PARTS)[:MAX_PARTS]

    def subcomponents(self, component: str) -> list[str]:
        """Split one component into raw subcomponents, at most :data:`MAX_PARTS` of them."""
        return component.split(self.subcomponent, MAX_PARTS)[:MAX_PARTS]


STANDARD: Final = Delimiters()


def can_delimit(character: str) -> bool:
    """Whether that character can divide a message: one that is neither letter, digit, blank nor control."""
    return len(character) == 1 and character.isprintable() and not character.isalnum() and not character.isspace()


@lru_cache(maxsize=256)  # senders have few kinds; bounded, for a hostile one has many
def declared(field: str, encoding_characters: str) -> Delimiters:
    """Read MSH-1 and MSH-2; of the latter no more than six characters count."""
    characters = encoding_characters[:6]
    if len(characters) > 3 and characters[2] == characters[3]:  # noqa: PLR2004 (the escape character, doubled)
        characters = characters[:3] + characters[4:]
    taken = [field]
    for index, default in enumerate("^~\\&"):
        taken.append(_choose(characters[index : index + 1], default, characters[:4], taken))
    truncation = characters[4:5]
    usable = can_delimit(truncation) and truncation not in taken
    _, component, repetition, escape, subcomponent = taken
    return Delimiters(field, component, repetition, escape, subcomponent, truncation if usable else "")


def _choose(character: str, default: str, all_declared: str, taken: list[str]) -> str:
    if can_delimit(character) and character not in taken:
        return character
    return NONE if default in taken or default in all_declared else default

"""The plain text of a letter, read into blocks that a layout sets.

A hospital writes its letter as it would write an email, and knows nothing of typesetting. Blank lines part the blocks:
``# `` begins the title, ``## `` a heading, ``1. `` each of a list's steps; ``[codes]`` opens the panel with the codes,
whose lines are ``label: value``, the ``scan:`` lines under the QR code and its ``alt:`` text for those who listen;
anything else is a paragraph. What a block holds is text and stays text: no layout reads markup out of it.
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from msgspec import Struct

from patient_records.model import Masked

_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n\s*")
_STEP: Final = re.compile(r"\d+\. +(.*)")
_PANEL: Final = "[codes]"


class Title(Masked, Struct, frozen=True, tag="title"):
    """What the letter is about; there is one."""

    text: str


class Heading(Masked, Struct, frozen=True, tag="heading"):
    """The heading of a section."""

    text: str


class Paragraph(Masked, Struct, frozen=True, tag="paragraph"):
    """A paragraph; its lines are kept."""

    lines: tuple[str, ...]


class Steps(Masked, Struct, frozen=True, tag="steps"):
    """What to do, one thing after the other."""

    items: tuple[str, ...]


class Panel(Masked, Struct, frozen=True, tag="panel"):
    """The codes: rows of label and value, what stands under the QR code, and what is read out in its place."""

    rows: tuple[tuple[str, str], ...]
    scan: tuple[str, ...]
    alt: str


Block: TypeAlias = Title | Heading | Paragraph | Steps | Panel


def read_blocks(text: str) -> tuple[Block, ...]:
    """Read a letter's text into its blocks, in order."""
    return tuple(_block(part.split("\n")) for part in _BLANK_LINES.split(text.strip()) if part)


def _block(lines: list[str]) -> Block:
    first = lines[0]
    if first.startswith("## "):
        return Heading(" ".join(lines)[3:].strip())
    if first.startswith("# "):
        return Title(" ".join(lines)[2:].strip())
    if first.strip() == _PANEL:
        return _panel(lines[1:])
    if _STEP.match(first):
        return Steps(_steps(lines))
    return Paragraph(tuple(line.strip() for line in lines))


def _steps(lines: list[str]) -> tuple[str, ...]:
    """Read numbered lines; a line without a number goes on with the step before it."""
    steps: list[str] = []
    for line in lines:
        numbered = _STEP.match(line)
        if numbered:
            steps.append(numbered[1].strip())
        else:
            steps[-1] += " " + line.strip()
    return tuple(steps)


def _panel(lines: list[str]) -> Panel:
    rows = [(label.strip(), value.strip()) for label, _, value in (line.partition(":") for line in lines)]
    return Panel(
        tuple((label, value) for label, value in rows if label not in {"scan", "alt"}),
        tuple(value for label, value in rows if label == "scan"),
        " ".join(value for label, value in rows if label == "alt"),
    )

"""How a fake provider misbehaves: in order, then by chance, and otherwise not at all.

A script is JSON or TOML with a table for each provider (``smtp``, ``notify``, ``gateway``):

* ``steps``: acts for the first messages, one each, in order;
* ``mix``: acts with weights, drawn for every later message from a generator that begins with ``seed``;
* without a mix everything later is accepted.

``{"do": "accept"}`` takes the message. ``answer`` says no: ``status`` and ``text`` (for HTTP a ``body``). ``drop``
closes the connection and ``hang`` never answers; with ``"record": true`` they took the message first, and nobody but
the ledger knows. ``wait`` seconds pass before any of them. ``at`` says where in an SMTP session it happens: connect,
mail, rcpt, data, body or end (the default). ``visible_after`` seconds a search finds what was
taken. ``receipts`` are told later of a message that was taken.
"""

from __future__ import annotations

import random
import threading
import tomllib
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

MOST_SECONDS: Final = 3600.0


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """A delivery receipt to be told ``after`` seconds: its ``status``, in the provider's own words, ``times`` over."""

    status: str
    after: float = 0.0
    times: int = 1


class Act(Struct, frozen=True, forbid_unknown_fields=True):
    """What befalls one message."""

    do: Literal["accept", "answer", "drop", "hang"] = "accept"
    at: Literal["connect", "mail", "rcpt", "data", "body", "end"] = "end"
    record: bool = False
    status: int = 0
    text: str = ""
    body: str = ""
    wait: float = 0.0
    weight: float = 1.0
    visible_after: float = 0.0
    receipts: list[Receipt] = field(default_factory=list)


class Part(Struct, frozen=True, forbid_unknown_fields=True):
    """The script of one provider. ``receipts`` follow every message that an act without any took."""

    steps: list[Act] = field(default_factory=list)
    mix: list[Act] = field(default_factory=list)
    seed: int = 0
    receipts: list[Receipt] = field(default_factory=list)


class Script(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole script."""

    smtp: Part = field(default_factory=Part)
    notify: Part = field(default_factory=Part)
    gateway: Part = field(default_factory=Part)


class Player:
    """Plays one provider's part; a new one may be put in its place at any time."""

    def __init__(self, part: Part) -> None:
        self._drawing = threading.Lock()
        self.play(part)

    def play(self, part: Part) -> None:
        """Begin this part from its start."""
        with self._drawing:
            self._part = part
            self._steps = list(part.steps)
            self._dice = random.Random(part.seed)  # noqa: S311 (to be repeated, not to be secret)

    def next(self) -> Act:
        """Give the act for one more message."""
        with self._drawing:
            act = self._drawn()
            receipts = act.receipts or self._part.receipts
            return msgspec.structs.replace(act, receipts=receipts)

    def _drawn(self) -> Act:
        if self._steps:
            return self._steps.pop(0)
        if not self._part.mix:
            return Act()
        return self._dice.choices(self._part.mix, [act.weight for act in self._part.mix])[0]


def read_script(file: Path) -> Script:
    """Read a script. Raises OSError, or ValueError that says what is wrong in it."""
    content = file.read_bytes()
    try:
        if file.suffix == ".toml":
            return msgspec.convert(tomllib.loads(content.decode()), Script)
        return msgspec.json.decode(content, type=Script)
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no script: {error}") from None

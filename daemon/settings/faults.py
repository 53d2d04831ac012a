"""What is wrong with a configuration, said so that it can be mended.

A fault never quotes a value that could be a secret: it names the key and what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct


class Fault(Struct, frozen=True, order=True, omit_defaults=True):
    """One thing to mend.

    ``file`` is the configuration file, or says that the environment or the built-in defaults are meant; ``key`` is
    dotted (``listeners.0.port``, counted from 0; empty for the file as a whole), ``wrong`` and ``mend`` are sentences
    without their full stop; ``line`` counts from 1 and is known for faults of syntax alone.
    """

    file: str
    key: str
    wrong: str
    mend: str
    line: int | None = None

    def __str__(self) -> str:
        """One line for a person: FILE:LINE: key: fault. Mend."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        stop = "" if self.mend.endswith(("?", ".")) else "."
        return ": ".join(part for part in (place, self.key, f"{self.wrong}. {self.mend}{stop}") if part)


class Contradiction(Struct, frozen=True):
    """A key that cannot stand with the rest: its ``path``, what is ``wrong`` and the ``mend``."""

    path: tuple[str | int, ...]
    wrong: str
    mend: str


class ConfigurationFaults(Exception):
    """All faults of a configuration at once, in ``faults``."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class Wrong(ValueError):
    """A value that a validator refuses: what is ``wrong`` with it and its ``mend``, without the value itself."""

    def __init__(self, wrong: str, mend: str) -> None:
        self.wrong = wrong
        self.mend = mend
        super().__init__(wrong)


def for_people(faults: Iterable[Fault]) -> str:
    """Render faults, one to a line."""
    return "\n".join(str(fault) for fault in faults)


def as_json(faults: Iterable[Fault]) -> str:
    """Render faults as a JSON array of objects with ``file``, ``key``, ``wrong``, ``mend`` and perhaps ``line``."""
    return msgspec.json.encode(list(faults)).decode()

"""The files of ``config/`` that doorstep ships: the commented reference configuration, the systemd unit.

From a wheel they lie inside this package as ``reference/``; in a checkout they are still at ``config/``, beside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent
PLACES: Final = (_PACKAGE / "reference", _PACKAGE.parent / "config")
"""Where to look, the installed place first."""


def reference_file(name: str, places: tuple[Path, ...] = PLACES) -> Path:
    """Find a reference file by its name below ``config/``, such as ``doorstep.toml``.

    Raise FileNotFoundError, naming the places, if the installation is incomplete.
    """
    for place in places:
        if (place / name).is_file():
            return place / name
    looked = " or ".join(str(place) for place in places)
    raise FileNotFoundError(f"{name} is missing from this installation (looked in {looked}): install doorstep again")


def reference_configuration() -> str:
    """Give the text of the commented reference configuration: every setting with its default and its sentence."""
    return reference_file("doorstep.toml").read_text(encoding="utf-8")

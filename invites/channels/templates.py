"""Reads the templates that ship with doorstep out of the package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable


def shipped_templates() -> dict[str, str]:
    """Give the text of every template under ``invites/wording/templates``, by its path there."""
    return dict(_walk(files("invites.wording").joinpath("templates"), ""))


def with_overrides(overrides: Mapping[str, str]) -> dict[str, str]:
    """Give the shipped templates, with a hospital's own in the place of those with the same name."""
    return shipped_templates() | dict(overrides)


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif not entry.name.startswith("."):
            yield prefix + entry.name, entry.read_text(encoding="utf-8")

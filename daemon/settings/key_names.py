"""The names of all settings, read from the sections, and the nearest right one for a wrong one."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

import msgspec
from msgspec import Struct
from pydantic import BaseModel

from daemon.settings.secret import FORMS, Secret
from daemon.settings.section import Section
from daemon.settings.sections import Settings

PREFIX: Final = "DOORSTEP_"
JOINT: Final = "__"


class KeyName(Struct, frozen=True):
    """One setting: its ``path``, the ``kind`` of its value, and whether it is ``listed``.

    What lies in a list, or is one, the environment cannot set; in its path the list's name stands for each item.
    ``form`` is ``file`` or ``env`` for a variable that names where a secret is, rather than the secret.
    """

    path: tuple[str, ...]
    kind: type
    listed: bool = False
    form: str = ""

    @property
    def dotted(self) -> str:
        """The name in files and faults."""
        return ".".join(self.path)

    @property
    def variable(self) -> str:
        """The name of the environment variable that overrides it."""
        return PREFIX + JOINT.join(part for part in (*self.path, self.form) if part).upper()


def key_names(
    section: type[BaseModel] = Settings, path: tuple[str, ...] = (), *, listed: bool = False
) -> Iterator[KeyName]:
    """Name every setting of a section and the sections below, in the order of their definition."""
    for name, field in section.model_fields.items():
        here = (*path, name)
        table, many = table_of(field.annotation)
        if table is not None:
            yield from key_names(table, here, listed=listed or many)
        else:
            yield KeyName(here, _kind(field.annotation), listed=listed or many or _is_mapping(field.annotation))


def table_of(annotation: Any) -> tuple[type[Section] | None, bool]:
    """Tell the section that an annotation stands for, if any, and whether it stands for a list."""
    many = getattr(annotation, "__origin__", None) is tuple
    inner = get_args(annotation)[0] if many else annotation
    is_table = isinstance(inner, type) and issubclass(inner, Section)
    return (inner if is_table else None), many


def _is_mapping(annotation: Any) -> bool:
    """Whether the setting is a table with keys of one's own, which no single variable can give."""
    return getattr(annotation, "__origin__", None) is dict


def _kind(annotation: Any) -> type:
    return annotation if annotation in {bool, int, Secret} else str


def section_at(path: Sequence[str | int]) -> type[Section] | None:
    """Find the section at a path (list positions included), or None where there is none."""
    section: type[Section] | None = Settings
    for part in path:
        if isinstance(part, int):
            continue
        field = section.model_fields.get(part) if section else None
        section = table_of(field.annotation)[0] if field else None
    return section


def nearest_key(path: Sequence[str | int]) -> str:
    """Name the right key that an unknown one was probably meant to be; empty when nothing is near.

    First among its neighbours, then the same name in other sections (all that have it), then anything spelled alike.
    """
    *parents, last = path
    section = section_at(parents)
    neighbours = difflib.get_close_matches(str(last), list(section.model_fields) if section else [], n=1)
    if neighbours:
        return ".".join([str(part) for part in parents] + neighbours)
    everywhere = list(
        dict.fromkeys(".".join(key.path[:end]) for key in key_names() for end in (None, -1) if key.path[:end])
    )
    elsewhere = [dotted for dotted in everywhere if dotted.rpartition(".")[2] == last]
    if elsewhere:
        return " or ".join(elsewhere)
    near = difflib.get_close_matches(".".join(str(part) for part in path), everywhere, n=1)
    return near[0] if near else ""


def variables() -> dict[str, KeyName]:
    """Map the names of environment variables to the settings that they override, a secret's forms included."""
    names = list(key_names())
    forms = [msgspec.structs.replace(key, form=form) for key in names if key.kind is Secret for form in FORMS]
    return {key.variable: key for key in names + forms}

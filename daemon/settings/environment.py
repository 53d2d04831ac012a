"""Overrides from the environment: ``DOORSTEP_`` and the path joined by ``__`` (SPEC 2).

Environment values are text; whole numbers and truth values are read here, so that the sections can stay strict.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from msgspec import Struct

from daemon.settings.faults import Fault
from daemon.settings.key_names import JOINT, PREFIX, KeyName, table_of, variables
from daemon.settings.sections import Settings

NOT_SETTINGS: Final = frozenset({"DOORSTEP_CONFIG", "DOORSTEP_CAMPAIGN"})
ENVIRONMENT: Final = "environment"
"""What stands for the file in faults of an environment variable."""
TRUTHS: Final = MappingProxyType({"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False})
_SERVICE_LINK: Final = re.compile(r"DOORSTEP_(\w+_)?(SERVICE_HOST|SERVICE_PORT|PORT)(_[A-Z0-9_]+)?")


class Override(Struct, frozen=True):
    """One setting given by the environment variable ``name``; ``value`` may be a secret and is in no ``repr``."""

    name: str
    path: tuple[str, ...]
    value: object

    def __repr__(self) -> str:
        """Name the variable, never its value."""
        return f"<Override {self.name} ***>"


def read_overrides(environ: Mapping[str, str]) -> tuple[list[Override], list[Fault]]:
    """Read every ``DOORSTEP_`` variable: the overrides, and faults for names that are no settings."""
    known = variables()
    overrides: dict[tuple[str, ...], Override] = {}
    faults = []
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in NOT_SETTINGS:
            continue
        key = known.get(name)
        if key is None or key.listed:
            faults.append(Fault(ENVIRONMENT, name, *_words(name, known)))
        elif key.path in overrides:
            faults.append(Fault(ENVIRONMENT, name, f"is given by {overrides[key.path].name} too", "Keep one of them"))
        else:
            overrides[key.path] = Override(name, key.path, _value(environ[name], key))
    return list(overrides.values()), faults


def override(document: dict[str, Any], overrides: Iterable[Override]) -> dict[str, Any]:
    """Lay the overrides over a document, and give the result; the document itself stays as it is."""
    for one in overrides:
        document = _laid(document, one.path, one.value)
    return document


def _laid(table: dict[str, Any], path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Set one value, copying each table on the way. What should be a table and is none stays, to be refused."""
    head, *rest = path
    if not rest:
        return {**table, head: value}
    below = table.get(head, {})
    return {**table, head: _laid(below, tuple(rest), value) if isinstance(below, dict) else below}


def _value(text: str, key: KeyName) -> object:
    """Read the text as the setting's kind. What cannot be read stays text, which the section then refuses."""
    if key.form:
        return {key.form: text}
    if key.kind is bool:
        return TRUTHS.get(text.strip().lower(), text)
    if key.kind is int and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", text):
        return int(text)
    return text


def _words(name: str, known: Mapping[str, KeyName]) -> tuple[str, str]:
    """Say what is wrong with a name that overrides nothing, and the mend."""
    lists = [
        PREFIX + field.upper()
        for field in Settings.model_fields
        if table_of(Settings.model_fields[field].annotation)[1]
    ]
    if name in known or any(f"{name}{JOINT}".startswith(f"{one}{JOINT}") for one in lists):
        return "points into a list", "Set lists in the configuration file"
    if any(variable.startswith(name + JOINT) for variable in known):
        return "names a section, not a setting", f"Set one of its keys, {name}{JOINT}NAME"
    if _SERVICE_LINK.fullmatch(name):
        return "is no setting", "Remove it; where Kubernetes sets it, say enableServiceLinks: false in the pod"
    paths = [variable.removeprefix(PREFIX) for variable, key in known.items() if not key.listed]
    near = difflib.get_close_matches(name.removeprefix(PREFIX), paths, n=1)
    mend = f"Did you mean {PREFIX}{near[0]}?" if near else "Remove it, or see the reference configuration for the names"
    return "is no setting", mend

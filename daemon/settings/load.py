"""From a file and an environment to :class:`Settings`, or to all their faults at once.

Each key is checked by its section, then the whole for contradictions. When a key is faulty the whole is checked with
that key at its default, and a contradiction is named only if no faulty key is part of it: so one run shows everything
there is to mend, and nothing that follows from another fault.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from msgspec.structs import replace
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from daemon.settings.certificates import unusable_certificates
from daemon.settings.consistency import contradictions
from daemon.settings.document import BUILT_IN, find, read
from daemon.settings.environment import ENVIRONMENT, Override, override, read_overrides
from daemon.settings.explanation import explained
from daemon.settings.faults import ConfigurationFaults, Contradiction, Fault
from daemon.settings.key_names import key_names, nearest_key, section_at
from daemon.settings.message_profiles import unusable_profiles
from daemon.settings.sections import Settings
from daemon.settings.senders import profile_faults
from daemon.settings.value_types import Place

Step: TypeAlias = str | int


def load(
    path: Path | None, environ: Mapping[str, str] | None = None, *, folder: Path | None = None, serving: bool = False
) -> Settings:
    """Load the configuration.

    ``path`` is what ``--config`` named, ``environ`` the environment (the process's by default), ``folder`` the current
    one. With ``serving``, a certificate or message profile that cannot be used is a fault too.

    Raise :class:`ConfigurationFaults`.
    """
    environ = os.environ if environ is None else environ
    folder = Path.cwd() if folder is None else folder
    file = find(path, environ, folder)
    document = {} if file is None else read(file)
    overrides, faults = read_overrides(environ)
    place = Place(folder=folder if file is None else file.parent.absolute(), environ=environ)
    settings, found = _validate(override(document, overrides), place, serving=serving)
    faults += [_fault(one, str(file or BUILT_IN), overrides) for one in found]
    if settings is not None:
        faults += [replace(one, file=one.file or str(file or BUILT_IN)) for one in profile_faults(settings)]
    if faults or settings is None:
        raise ConfigurationFaults(faults)
    return settings


def _validate(document: dict[str, Any], place: Place, *, serving: bool) -> tuple[Settings | None, list[Contradiction]]:
    """Validate twice if need be: as given, and then without the faulty keys, to judge the whole."""
    try:
        settings = Settings.model_validate(document, context=place)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    else:
        return settings, [*contradictions(settings), *(_in_service(settings) if serving else ())]
    faulty = [_explained(one) for one in details if _holds(document, one["loc"])]
    try:
        rest = Settings.model_validate(_without(document, details), context=place)
    except ValidationError:
        return None, faulty
    doubtful = frozenset().union(*(_names(one) for one in details))
    return None, [*faulty, *contradictions(rest, doubtful), *(_in_service(rest) if serving else ())]


def _in_service(settings: Settings) -> Iterator[Contradiction]:
    """Find what only somebody who serves with these settings would stumble over."""
    yield from unusable_certificates(settings, datetime.now(UTC))
    yield from unusable_profiles(settings)


def _holds(value: Any, path: Sequence[Step]) -> bool:
    """Whether the document itself has the key: a value derived from a faulty one is not a second fault."""
    for step in path:
        holds = step in value if isinstance(value, dict) else isinstance(value, list)
        if not holds:
            return False
        value = value[step]
    return True


def _without(document: dict[str, Any], details: Sequence[ErrorDetails]) -> dict[str, Any]:
    """Copy a document without its faulty keys. A faulty item of a list takes the list along, unless it is a table."""
    paths = [one["loc"] for one in details]
    cut = {path[:-1] if isinstance(path[-1], int) and section_at(path) is None else path for path in paths if path}

    def copy(value: Any, here: tuple[Step, ...]) -> Any:
        if isinstance(value, dict):
            return {key: copy(below, (*here, key)) for key, below in value.items() if (*here, key) not in cut}
        if isinstance(value, list):
            return [{} if (*here, at) in cut else copy(below, (*here, at)) for at, below in enumerate(value)]
        return value

    result: dict[str, Any] = copy(document, ())
    return result


def _names(detail: ErrorDetails) -> set[str]:
    """Name the keys whose values are in doubt because of a fault: of a whole table or list all, of a slip the meant."""
    path = detail["loc"]
    section = section_at(path)
    names = {key.path[-1] for key in key_names(section)} if section else set()
    meant = nearest_key(path).rpartition(".")[2] if detail["type"] == "extra_forbidden" else ""
    return names | {step for step in path if isinstance(step, str)} | {meant}


def _explained(detail: ErrorDetails) -> Contradiction:
    path, kind = detail["loc"], detail["type"]
    if kind == "extra_forbidden":
        near = nearest_key(path)
        mend = f"Did you mean {near}?" if near else "Remove it, or see the reference configuration for the names"
        return Contradiction(path, "is no setting", mend)
    return Contradiction(path, *explained(detail))


def _fault(found: Contradiction, file: str, overrides: Sequence[Override]) -> Fault:
    """Name the place to mend: the environment variable that gave the value, or else the file's key."""
    for one in overrides:
        if found.path[: len(one.path)] == one.path:
            return Fault(ENVIRONMENT, one.name, found.wrong, found.mend)
    return Fault(file, ".".join(str(step) for step in found.path), found.wrong, found.mend)

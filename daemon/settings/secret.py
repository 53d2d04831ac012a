"""A secret of the configuration: given as text, as ``{file = "..."}`` or as ``{env = "..."}``.

It is fetched once, when the configuration is loaded. A reference that leads nowhere is a fault only where the secret
is needed (an SMTP password that no provider uses may stay unset), so the secret remembers why it is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from daemon.settings.faults import Wrong
from patient_records.model import Masked

FORMS: Final = ("file", "env")
"""The keys that a table standing for a secret may have, exactly one of them."""


class Secret(Masked):
    """A value that no ``repr`` shows. ``origin`` says where it comes from, ``missing`` why it is not there."""

    __slots__ = ("_value", "missing", "origin")

    def __init__(self, value: str, *, origin: str = "given as text", missing: str = "") -> None:
        self._value = value
        self.origin = origin
        self.missing = missing

    def reveal(self) -> str:
        """Give the value. Raise LookupError, saying what is missing, when there is none."""
        if self.missing:
            raise LookupError(self.missing)
        return self._value

    def __eq__(self, other: object) -> bool:
        """Compare by origin and value."""
        return isinstance(other, Secret) and self._identity == other._identity

    def __hash__(self) -> int:
        """Follow ``__eq__``."""
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[str, str, str]:
        return (self.origin, self._value, self.missing)


def fetch(given: object, folder: Path, environ: Mapping[str, str]) -> Secret:
    """Fetch the secret that the configuration describes. Relative files are taken from ``folder``.

    Raise :class:`Wrong` when ``given`` is neither text nor a table with exactly one of ``file`` and ``env``.
    """
    if isinstance(given, Secret):
        return given
    if isinstance(given, str):
        return Secret(given)
    if isinstance(given, dict) and len(given) == 1:
        form, name = next(iter(given.items()))
        if form in FORMS and isinstance(name, str) and name:
            return _from_file(folder / name) if form == "file" else _from_environment(name, environ)
    raise Wrong("is no secret", 'Give text, {file = "path"} or {env = "NAME"}')


def _from_environment(name: str, environ: Mapping[str, str]) -> Secret:
    value = environ.get(name, "")
    return Secret(value, origin=f"env {name}", missing="" if value else f"environment variable {name} is not set")


def _from_file(path: Path) -> Secret:
    """Read a secret's file; one line end at its end is the editor's and not part of the secret."""
    origin = f"file {path}"
    try:
        value = path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        return Secret("", origin=origin, missing=f"file {path} cannot be read ({reason})")
    return Secret(value, origin=origin, missing="" if value else f"file {path} is empty")

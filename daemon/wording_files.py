"""A hospital's own wording: files below ``wording.folder``, read once and held to the rules.

``<language>/<purpose>/<what>`` is for all organisations, ``organisations/<code>/<language>/<purpose>/<what>`` for one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from daemon.settings import ConfigurationFaults, Fault, Settings

if TYPE_CHECKING:
    from daemon.settings.wording import Wording
    from invites.channels.wording_rules import Remark

_LARGEST: Final = 100_000
"""Bytes in a template: a letter that long would be a book."""

_NOTES: Final = frozenset({".md", ".orig", ".rej", ".bak"})
"""Endings of what people and tools leave beside templates."""


def own_templates(settings: Settings) -> dict[str, str]:
    """Read the hospital's own templates, by name; those that cannot be read are left out."""
    return _read(settings.wording.folder)[0]


def wording_faults(settings: Settings) -> list[Fault]:
    """Find all that is wrong with the hospital's own wording, without rendering a letter: files, lines and mends."""
    folder = settings.wording.folder
    own, faults = _read(folder)
    if not folder.is_dir() and _is_the_hospitals_own(settings.wording):
        faults.append(Fault(str(folder), "", "is no folder", "Make it, or take out wording.folder"))
    if own:
        from invites.channels.templates import shipped_templates  # noqa: PLC0415 (most configurations have none)
        from invites.channels.wording_rules import remarks  # noqa: PLC0415

        codes = [organisation.code for organisation in settings.all_organisations]
        found = [remark for remark in remarks(own, shipped_templates(), codes) if remark.fault]
        faults += [as_fault(folder, remark) for remark in found]
    return faults


def _is_the_hospitals_own(wording: Wording) -> bool:
    """Whether somebody chose the folder: the usual one need not exist, and what ``init`` writes names it, too."""
    usual: Path = type(wording).model_fields["folder"].default
    return "folder" in wording.model_fields_set and wording.folder.name != usual.name


def refuse_faulty_wording(settings: Settings) -> None:
    """Raise :class:`ConfigurationFaults` for a wording that no message should be written with."""
    if faults := wording_faults(settings):
        raise ConfigurationFaults(faults)


def as_fault(folder: Path, remark: Remark) -> Fault:
    """Name the file of what is wrong with a template."""
    return Fault(str(folder / remark.template), "", remark.wrong, remark.mend, remark.line)


def _read(folder: Path) -> tuple[dict[str, str], list[Fault]]:
    own: dict[str, str] = {}
    faults: list[Fault] = []
    for path in sorted(_files(folder)):
        name = path.relative_to(folder).as_posix()
        try:
            content = path.read_bytes()
            if len(content) > _LARGEST:
                faults.append(Fault(str(path), "", "is too long for a template", f"Keep to {_LARGEST:,} bytes"))
            else:
                own[name] = content.decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            faults.append(Fault(str(path), "", "is not UTF-8 text", "Save it as UTF-8"))
        except OSError as error:
            faults.append(Fault(str(path), "", f"cannot be read ({error.strerror})", "Let doorstep's user read it"))
    return own, faults


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*") if folder.is_dir() else ():
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix not in _NOTES and not path.name.endswith("~"):
            yield path

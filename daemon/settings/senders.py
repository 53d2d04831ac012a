"""The profiles of senders: files in a folder beside the configuration, and those that doorstep ships.

A profile of the hospital's own with the name of a shipped one takes its place. All faults of all files are found at
once, each with its file and key.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from daemon.reference_files import PLACES
from daemon.settings.document import read
from daemon.settings.explanation import explained
from daemon.settings.faults import ConfigurationFaults, Fault
from daemon.settings.sections import Settings
from daemon.settings.sender import SenderFile
from hl7_listener.sender_profile import Answers, IdentifierRule, SenderProfile
from hl7_listener.senders import PLAIN, Match, Senders

SUFFIX: Final = ".toml"
FOLDER: Final = "senders"


class Profile(Struct, frozen=True):
    """A profile, whom it is for, and the file that it is from."""

    file: Path
    match: Match
    profile: SenderProfile


class Profiles(Struct, frozen=True):
    """Every profile that there is, by name, and the faults of those files that have any."""

    known: dict[str, Profile]
    faults: tuple[Fault, ...]

    def of(self, listener: str, named: str) -> Senders:
        """Give a listener's senders their profiles: those that match them, else the one that the listener names."""
        default = self.known[named].profile if named in self.known else PLAIN
        return Senders(listener, default, tuple((one.match, one.profile) for one in self.known.values()))


def load_profiles(folder: Path) -> Profiles:
    """Read the shipped profiles and those of the folder, which need not be there. Raises nothing of its own."""
    known: dict[str, Profile] = {}
    faults: list[Fault] = []
    for file in (*_files(shipped()), *_files(folder)):
        try:
            known[file.stem] = load_profile(file)
        except ConfigurationFaults as error:
            known.pop(file.stem, None)
            faults += error.faults
    return Profiles(known, (*faults, *_rivals(known.values())))


def shipped() -> Path:
    """The folder of the profiles that doorstep ships."""
    return next((place / FOLDER for place in PLACES if (place / FOLDER).is_dir()), PLACES[0] / FOLDER)


def load_profile(file: Path) -> Profile:
    """Read one profile. Raise :class:`ConfigurationFaults` with all that is wrong with it."""
    try:
        given = SenderFile.model_validate(read(file))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise ConfigurationFaults([_fault(file, detail) for detail in details]) from None
    return Profile(file, _match(given), _profile(file.stem, given))


def profile_faults(settings: Settings) -> Iterator[Fault]:
    """Find the faults of all profiles, and listeners that name none."""
    profiles = load_profiles(settings.senders.folder)
    yield from profiles.faults
    faulty = {Path(fault.file).stem for fault in profiles.faults}
    for position, listener in enumerate(settings.listeners):
        if listener.profile and listener.profile not in profiles.known.keys() | faulty:
            near = difflib.get_close_matches(listener.profile, profiles.known, 1)
            mend = f'Did you mean "{near[0]}"?' if near else f"Write {settings.senders.folder}/{listener.profile}.toml"
            yield Fault("", f"listeners.{position}.profile", "names no sender profile", mend)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


def _match(given: SenderFile) -> Match:
    match = given.match
    return Match(_upper(match.listeners), _upper(match.application), _upper(match.facility))


def _profile(name: str, given: SenderFile) -> SenderProfile:
    answers = given.acknowledgment
    return SenderProfile(
        name=name,
        default_authority=given.identifiers.default_authority.strip().upper(),
        rules=tuple(
            IdentifierRule(
                _part(rule.authority),
                _part(rule.type),
                nhs=rule.nhs_number,
                ignored=rule.ignored,
                new_authority=_part(rule.as_authority),
                new_type=_part(rule.as_type),
            )
            for rule in given.identifiers.rules
        ),
        charset=given.text.charset or None,
        default_charset=given.text.default_charset or None,
        events=frozenset(given.events.taken),
        answers=Answers(answers.passing, answers.content, answers.permanent, answers.held),
        quirks=frozenset(given.quirks),
    )


def _upper(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(pattern.strip().upper() for pattern in patterns)


def _part(text: str | None) -> str | None:
    return None if text is None else text.strip().upper()


def _rivals(profiles: Iterable[Profile]) -> Iterator[Fault]:
    seen: dict[Match, Profile] = {}
    for one in profiles:
        other = seen.setdefault(one.match, one)
        if other is not one and one.match.weight:
            wrong = f"is for the same senders as {other.file.name}"
            yield Fault(str(one.file), "match", wrong, "Say in one of the two whom it is for and the other is not")


def _fault(file: Path, detail: ErrorDetails) -> Fault:
    path, (wrong, mend) = detail["loc"], explained(detail)
    key = ".".join(str(step) for step in path)
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(path[-1]), _beside(path), 1)
        mend = f"Did you mean {near[0]}?" if near else "Remove it, or see config/README.md for the names"
        return Fault(str(file), key, "is no setting of a profile", mend)
    return Fault(str(file), key, wrong, mend)


def _beside(path: tuple[int | str, ...]) -> list[str]:
    names: Any = SenderFile.keys()
    for step in path[:-1]:
        if isinstance(step, str):
            names = names.get(step) or {}
    return list(names)

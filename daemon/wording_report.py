"""What ``doorstep wording check`` found: every message written once for an invented patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from daemon.settings import Fault, Settings
from daemon.wording_files import as_fault, own_templates, wording_faults
from invites.channels.channel import EMAIL, LETTER, SMS, Organisation
from invites.channels.templates import with_overrides
from invites.channels.wording_rules import general_name
from invites.channels.wording_trial import Trial, Trials, WordingTrial
from invites.wording.errors import WordingError
from invites.wording.wording import OWN, Wording


class WordingReport(Struct, frozen=True):
    """``own`` are the hospital's templates by name; ``messages`` what each came to; what is wrong; what costs more."""

    own: list[str]
    messages: list[Trial]
    faults: list[Fault]
    warnings: list[Fault]


def report(settings: Settings, pictures: Path, progress: Callable[[], None]) -> WordingReport:
    """Hold the wording to the rules and try it; letters' pictures (PNG) go to that folder. Raises OSError."""
    folder, own, faults = settings.wording.folder, own_templates(settings), wording_faults(settings)
    trials = _tried(settings, own, pictures, progress, faults)
    tried = [as_fault(folder, remark) for remark in trials.remarks if remark.fault]
    warnings = [as_fault(folder, remark) for remark in trials.remarks if not remark.fault]
    return WordingReport(sorted(own), trials.trials, _unique([*faults, *tried]), _unique(warnings))


def lines(found: WordingReport) -> Iterator[str]:
    """Tell a report to a person."""
    for trial in found.messages:
        place = f"{trial.organisation} {trial.language} {trial.purpose} {trial.channel}"
        yield f"{place:<44}{_size(trial)}"
    yield f"{len(found.own)} templates of your own" + (f": {', '.join(found.own)}" if found.own else "")
    yield from (f"warning: {fault}" for fault in found.warnings)
    yield from (f"fault: {fault}" for fault in found.faults)
    yield f"{len(found.messages)} messages, {len(found.faults)} faults, {len(found.warnings)} warnings"


def _size(trial: Trial) -> str:
    if trial.channel == SMS:
        share = f"{trial.characters} of {trial.room} characters"
        return f"{trial.parts} part{'s' if trial.parts > 1 else ''}, {share}, {trial.alphabet}"
    if trial.channel == EMAIL:
        return f"subject: {trial.subject}"
    if trial.channel == LETTER:
        large = "large print, " if trial.large_print else ""
        return f"{large}{trial.pages} page{'s' if trial.pages > 1 else ''}: {', '.join(trial.picture)}"
    return ""


def _tried(
    settings: Settings, own: dict[str, str], pictures: Path, progress: Callable[[], None], faults: list[Fault]
) -> Trials:
    """Render everything; what does not even parse is left out, for it is told already."""
    broken = {fault.file for fault in faults}
    sound = {name: source for name, source in own.items() if str(settings.wording.folder / name) not in broken}
    templates = with_overrides(sound)
    preferred = {one.code: one.language for one in settings.all_organisations}
    try:
        trial = WordingTrial(Wording(templates, preferred), settings.join.public_url)
    except WordingError as error:  # a template that only compiling finds out about
        faults.append(Fault(error.template, "", error.code, "Correct the template", error.line))
        return Trials()

    def keep(name: str, pages: list[bytes]) -> tuple[str, ...]:
        kept = [pictures / f"{name}-{number}.png" for number, _ in enumerate(pages, 1)]
        for path, page in zip(kept, pages, strict=True):
            path.write_bytes(page)
        return tuple(map(str, kept))

    organisations = {one.code: Organisation(one.code, one.name, one.contact) for one in settings.all_organisations}
    languages = {code: _languages(templates, code) for code in organisations}
    return trial.run(organisations, languages, keep, progress)


def _languages(templates: dict[str, str], organisation: str) -> frozenset[str]:
    """The languages that an organisation can write in."""
    own = f"{OWN}{organisation}/"
    names = [name for name in templates if not name.startswith(OWN) or name.startswith(own)]
    return frozenset(general_name(name).partition("/")[0] for name in names)


def _unique(faults: list[Fault]) -> list[Fault]:
    return list(dict.fromkeys(faults))

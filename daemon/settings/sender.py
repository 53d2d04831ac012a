"""A sender profile as it stands in its file: ``senders/NAME.toml`` beside the configuration.

The names here are a promise to everyone who has written a profile, as those of the configuration are.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from daemon.settings.faults import Wrong
from daemon.settings.section import Section
from daemon.settings.value_types import Charset, Flag, Many

Pattern = Annotated[str, Field(min_length=1, max_length=100)]
"""A name, or the beginning of one and ``*``; in any case."""

Part = Annotated[str, Field(max_length=200)]
"""CX.4 or CX.5 as the sender writes it; in any case."""

Trigger = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]{2}$")]
"""A trigger event, MSH-9.2."""


class Match(Section):
    """[match]: whose profile it is; without it, that of listeners which name it (``listeners.profile``)."""

    listeners: Many[Pattern] = ()
    """Names of listeners; none: all."""
    application: Many[Pattern] = ()
    """MSH-3, such as ``"PAS*"``; none: any."""
    facility: Many[Pattern] = ()
    """MSH-4; none: any."""


class Rule(Section):
    """Each of [[identifiers.rules]]: what one of the sender's kinds of identifier is; the first that applies counts."""

    authority: Part | None = None
    """CX.4 of the identifiers meant; left out: any."""
    type: Part | None = None
    """CX.5 of the identifiers meant; left out: any."""
    nhs_number: Flag = False
    """Whether it is the NHS number."""
    ignored: Flag = False
    """Whether it is none that should find anybody."""
    as_authority: Part | None = None
    """The authority to keep it under."""
    as_type: Part | None = None
    """The type to keep it under."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Rule:
        renamed = self.as_authority is not None or self.as_type is not None
        if [self.nhs_number, self.ignored, renamed].count(True) != 1:
            raise Wrong(
                "does not say one thing",
                "Write nhs_number = true, or ignored = true, or as_authority and as_type (one of them or both)",
            )
        return self


class Identifiers(Section):
    """[identifiers]: how this sender writes CX."""

    default_authority: Part = ""
    """What an empty CX.4 means."""
    rules: Many[Rule] = ()
    """What the sender's own kinds are."""


class Text(Section):
    """[text]: what its bytes are."""

    charset: Charset = ""
    """The character set whatever MSH-18 says; empty: as the listener has it."""
    default_charset: Charset = ""
    """The character set where MSH-18 says nothing; empty: as the listener has it."""


class Events(Section):
    """[events]: what is taken."""

    taken: Many[Trigger] = ()
    """Trigger events that are taken, all others being kept and ignored; none: all."""


class Acknowledgment(Section):
    """[acknowledgment]: which answer makes this sender retry what passes, and stop at what does not."""

    passing: Literal["", "close", "AE", "AR"] = ""
    """Where nothing can be stored now."""
    content: Literal["", "AA", "AE", "AR"] = ""
    """To what could be mended: a required field is missing, a value is bad."""
    permanent: Literal["", "AA", "AE", "AR"] = ""
    """To what never can be: unreadable, too large, another type, version or processing id."""
    held: Literal["", "AA", "AE", "AR"] = ""
    """To what a person must look at."""


class SenderFile(Section):
    """A whole profile."""

    description: Annotated[str, Field(max_length=2000)] = ""
    """Whose habits these are, and where they are documented."""
    match: Match = Match()
    identifiers: Identifiers = Identifiers()
    text: Text = Text()
    events: Events = Events()
    acknowledgment: Acknowledgment = Acknowledgment()
    quirks: Many[Literal["bare_nhs_number", "null_says_nothing", "death_date_means_nothing"]] = ()
    """Habits that need more than a rule."""

    @classmethod
    def keys(cls) -> dict[str, Any]:
        """All names, nested: for the nearest right one to a wrong one, and for the documents."""
        return _names(cls)


def _names(section: type[Section]) -> dict[str, Any]:
    sections: dict[str, type[Section]] = {
        "match": Match,
        "identifiers": Identifiers,
        "text": Text,
        "events": Events,
        "rules": Rule,
    }
    sections |= {"acknowledgment": Acknowledgment}
    return {name: _names(sections[name]) if name in sections else None for name in section.model_fields}

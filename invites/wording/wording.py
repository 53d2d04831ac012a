"""Templates, rendered in a sandbox.

Templates belong to the hospital, so they are data that may be wrong: Jinja2's immutable sandbox keeps them from
reaching into the program, and an unknown placeholder is an error and not a blank. Files that end in ``.html`` escape
what they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from jinja2 import DictLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from invites.wording.errors import WordingError

DEFAULT_LANGUAGE: Final = "en"


OWN: Final = "organisations/"
"""What the names of one organisation's own templates begin with, before its code."""

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


class Wording:
    """All templates of a doorstep, by name: ``<language>/<purpose>/<what>``, such as ``en/invitation/sms.txt``.

    ``organisations/<code>/<language>/...`` is one organisation's own, used for its patients in the place of the
    general one. ``languages`` says by code which language an organisation writes in to those who prefer none, or one
    that the message does not exist in; English is what is left.
    """

    def __init__(self, templates: Mapping[str, str], languages: Mapping[str, str] = _NONE) -> None:
        self._preferred = {code: language.partition("-")[0] for code, language in languages.items()}
        sandbox = environment(templates)
        self._templates = {name: _compiled(sandbox, name) for name in templates}

    def language(self, what: str, wanted: str, organisation: str = "") -> str:
        """Give the language in which that message exists: the one wanted, the organisation's, or else English."""
        for language in (wanted, self._preferred.get(organisation, "")):
            if language and self._name(what, language, organisation) in self._templates:
                return language
        return DEFAULT_LANGUAGE

    def say(self, what: str, language: str, values: Mapping[str, object], organisation: str = "") -> str:
        """Render ``<purpose>/<what>`` in that language, or the one that is left. Raises :class:`WordingError`."""
        name = self.name_of(what, language, organisation)
        template = self._templates.get(name)
        if template is None:
            raise WordingError(name, "there is no such template")
        return _rendered(template, name, values)

    def name_of(self, what: str, language: str, organisation: str = "") -> str:
        """Give the name of the template that :meth:`say` renders."""
        return self._name(what, self.language(what, language, organisation), organisation)

    def _name(self, what: str, language: str, organisation: str) -> str:
        own = f"{OWN}{organisation}/{language}/{what}"
        return own if own in self._templates else f"{language}/{what}"


def environment(templates: Mapping[str, str]) -> ImmutableSandboxedEnvironment:
    """Make the sandbox that knows these templates and nothing else."""
    return ImmutableSandboxedEnvironment(
        loader=DictLoader(dict(templates)),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )


def _compiled(sandbox: ImmutableSandboxedEnvironment, name: str) -> Template:
    try:
        return sandbox.get_template(name)
    except TemplateSyntaxError as fault:
        raise WordingError(name, fault.message or "syntax error", fault.lineno) from fault


def _rendered(template: Template, name: str, values: Mapping[str, object]) -> str:
    try:
        return template.render(values).strip()
    except UndefinedError as fault:  # its text is the placeholder's name
        raise WordingError(name, fault.message or "unknown placeholder") from None
    except SecurityError:
        raise WordingError(name, "reaches for something that templates may not touch") from None
    except TemplateError as fault:
        raise WordingError(name, type(fault).__name__) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as fault:
        raise WordingError(name, type(fault).__name__) from None  # its text could quote a value

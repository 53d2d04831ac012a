"""Templates, rendered in a sandbox.

Templates belong to the hospital, so they are data that may be wrong: Jinja2's immutable sandbox keeps them from
reaching into the program, and an unknown placeholder is an error and not a blank. Files that end in ``.html`` escape
what they are given.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from jinja2 import DictLoader, StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from invites.wording.errors import WordingError

DEFAULT_LANGUAGE: Final = "en"


class Wording:
    """All templates of a doorstep, by name: ``<language>/<purpose>/<what>``, such as ``en/invitation/sms.txt``."""

    def __init__(self, templates: Mapping[str, str], default_language: str = DEFAULT_LANGUAGE) -> None:
        self._default = default_language
        environment = ImmutableSandboxedEnvironment(
            loader=DictLoader(dict(templates)),
            undefined=StrictUndefined,
            autoescape=lambda name: name is not None and name.endswith(".html"),
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        self._templates = {name: _compiled(environment, name) for name in templates}
        self.languages: Final = frozenset(name.partition("/")[0] for name in templates)

    def language(self, what: str, wanted: str) -> str:
        """Give the language in which that message exists: the one wanted, or else the default."""
        return wanted if f"{wanted}/{what}" in self._templates else self._default

    def say(self, what: str, language: str, values: Mapping[str, object]) -> str:
        """Render ``<purpose>/<what>`` in that language or the default one. Raises :class:`WordingError`."""
        name = f"{self.language(what, language)}/{what}"
        template = self._templates.get(name)
        if template is None:
            raise WordingError(name, "there is no such template")
        return _rendered(template, name, values)


def _compiled(environment: ImmutableSandboxedEnvironment, name: str) -> Template:
    try:
        return environment.get_template(name)
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

"""What pages say, in every language that has a file.

A language is a TOML file named after its code (``cy.toml``). Keys are the same in all; a missing one falls back to the
default language. A text may name values in braces (``{hospital}``), by name alone. Texts are text: whatever is put
into a page is escaped there. A hospital's own folder may hold files of the same names with the keys that it says
otherwise, and files of languages that doorstep does not ship.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources.abc import Traversable
from typing import Final

DEFAULT: Final = "en"

OWN_NAME: Final = "language.name"
"""The key under which a language says what it is called, in itself."""

_SUFFIX: Final = ".toml"
_LONGEST_HEADER: Final = 256  # characters of Accept-Language that are read


class LanguageFault(Exception):
    """A language file cannot be used; the text says which, where and why."""


class Languages:
    """All texts of a face."""

    def __init__(
        self, folders: Sequence[Traversable], default: str = DEFAULT, spoken: Sequence[Traversable] = ()
    ) -> None:
        """Read the language files of these folders, later ones over earlier ones. Raises :class:`LanguageFault`.

        Where ``spoken`` names some of the folders, only the languages that have a file there are offered.
        """
        self.default: Final = default
        self._texts: dict[str, dict[str, str]] = {}
        for folder in folders:
            for code, name, texts in _files(folder):
                own = self._texts.setdefault(code, {})
                own.update(_checked(texts, name))
        if spoken:
            offered = {code for folder in spoken for code, _, _ in _files(folder)}
            self._texts = {code: texts for code, texts in self._texts.items() if code in offered}
        if default not in self._texts:
            raise LanguageFault(f"there is no language file {default}{_SUFFIX}")
        self.names: Final = {code: texts.get(OWN_NAME, code) for code, texts in sorted(self._texts.items())}

    def say(self, language: str, key: str, values: Mapping[str, object]) -> str:
        """Give a text. Raises :class:`LanguageFault` for a key that no file has, or a value that was not given."""
        text = self._texts.get(language, {}).get(key) or self._texts[self.default].get(key)
        if text is None:
            raise LanguageFault(f"no language file has {key}")
        try:
            return text.format_map(values)
        except (KeyError, IndexError, ValueError, AttributeError):
            raise LanguageFault(f"{key} names a value that the page does not give") from None

    def choose(self, wanted: str | None, accept: str) -> str:
        """Choose the language of a page: the one ``wanted`` by the person, else by the browser, else the default.

        ``accept`` is the header Accept-Language (RFC 9110, 12.5.4): the heaviest tag whose first part we have.
        """
        if wanted in self._texts:
            return str(wanted)
        for tag in _tags(accept[:_LONGEST_HEADER]):
            if tag in self._texts:
                return tag
        return self.default

    def keys(self, language: str) -> Mapping[str, str]:
        """Give the texts of one language, by key."""
        return dict(self._texts[language])


def placeholders(text: str) -> set[str]:
    """Give the names of the values that a text takes. Raises ValueError when it is malformed."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _files(folder: Traversable) -> Iterator[tuple[str, str, Mapping[str, object]]]:
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        if file.name.endswith(_SUFFIX):
            try:
                yield file.name.removesuffix(_SUFFIX), file.name, tomllib.loads(file.read_text("utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
                raise LanguageFault(f"{file.name} is no TOML file: {fault}") from None


def _checked(texts: Mapping[str, object], name: str) -> dict[str, str]:
    flat = dict(_flattened(texts, ""))
    for key, text in flat.items():
        if not isinstance(text, str):
            raise LanguageFault(f"{name}: {key} is not a text")
        try:
            wanted = placeholders(text)
        except ValueError as fault:
            raise LanguageFault(f"{name}: {key}: {fault}") from None
        if not all(each.isidentifier() for each in wanted):  # {0}, {a.b} and {a[0]} reach into values
            raise LanguageFault(f"{name}: {key} may name values in braces by name alone")
    return {key: str(text) for key, text in flat.items()}


def _flattened(table: Mapping[str, object], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _tags(accept: str) -> list[str]:
    """Give the languages of the header by weight, each by its first part."""
    weighed = []
    for position, item in enumerate(accept.split(",")):
        tag, _, parameter = item.strip().partition(";")
        weight = _weight(parameter)
        if weight > 0:
            weighed.append((-weight, position, tag.partition("-")[0].strip().lower()))
    return [tag for _, _, tag in sorted(weighed)]


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0

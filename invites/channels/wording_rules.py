"""A hospital's own templates, held to the rules before anything is written with them.

Nothing is rendered here: what a template says stands in its text, so a start can look at all of it in milliseconds.
:mod:`invites.channels.wording_trial` renders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from babel import Locale, UnknownLocaleError
from jinja2 import TemplateSyntaxError, meta, nodes
from msgspec import Struct

from invites.wording.placeholders import PLACEHOLDERS, RULES, TOGETHER, Rule, rule_of
from invites.wording.wording import OWN, environment

_PARTS_OF_A_NAME: Final = 3


class Remark(Struct, frozen=True, order=True, omit_defaults=True):
    """What is wrong with a template, or (``fault`` false) odd: ``line`` from 1 if known, ``wrong`` and ``mend``."""

    template: str
    wrong: str
    mend: str
    line: int | None = None
    fault: bool = True


def general_name(name: str) -> str:
    """Give the name without the organisation whose own it is."""
    return name[len(OWN) :].partition("/")[2] if name.startswith(OWN) else name


def remarks(own: Mapping[str, str], shipped: Mapping[str, str], organisations: Iterable[str]) -> list[Remark]:
    """Hold the own templates (by name) to the rules; ``shipped`` are what they stand beside."""
    found = [remark for name, source in own.items() for remark in _of_template(name, source, set(organisations))]
    return sorted([*found, *_emails_in_pieces(own, shipped)])


def _of_template(name: str, source: str, organisations: set[str]) -> Iterator[Remark]:
    code = name[len(OWN) :].partition("/")[0] if name.startswith(OWN) else None
    if code is not None and code not in organisations:
        known = ", ".join(sorted(organisations))
        yield Remark(name, f"is for an organisation {code} that is not configured", f"Name its folder one of: {known}")
    rule, language = rule_of(general_name(name)), general_name(name).partition("/")[0]
    if rule is None:
        yield Remark(name, "is a template that no message is written with", f"Name it {_nearest(general_name(name))}")
        return
    if not _is_language(language):
        yield Remark(
            name, f"is in a folder {language} that is no language", 'Use an ISO 639 code, such as "en" or "cy"'
        )
    yield from _of_text(name, source, rule)


def _of_text(name: str, source: str, rule: Rule) -> Iterator[Remark]:
    try:
        tree = environment({}).parse(source)
    except TemplateSyntaxError as fault:
        wrong = f"is no template: {fault.message or 'syntax error'}"
        yield Remark(name, wrong, "Write placeholders as {{ name }} and instructions as {% if %}", fault.lineno)
        return
    used = meta.find_undeclared_variables(tree)
    for placeholder in sorted(used - rule.may):
        yield Remark(name, _why_not(placeholder), _instead(placeholder, rule), _line(tree, placeholder))
    for group in rule.must:
        if not used & group:
            needed = " or ".join(f"{{{{ {one} }}}}" for one in sorted(group))
            yield Remark(name, f"does not show {needed}", f"Add it: {PLACEHOLDERS[min(group)].lower()}")


def _why_not(placeholder: str) -> str:
    known = placeholder in PLACEHOLDERS
    return f"has a placeholder {{{{ {placeholder} }}}} that " + ("may not stand here" if known else "does not exist")


def _instead(placeholder: str, rule: Rule) -> str:
    near = get_close_matches(placeholder, rule.may, 1)
    here = f"These may stand here: {', '.join(sorted(rule.may))}"
    return f"Did you mean {near[0]}? {here}" if near else here


def _line(tree: nodes.Template, placeholder: str) -> int | None:
    return next((node.lineno for node in tree.find_all(nodes.Name) if node.name == placeholder), None)


def _emails_in_pieces(own: Mapping[str, str], shipped: Mapping[str, str]) -> Iterator[Remark]:
    """Find emails of which a language has some templates and not all: the rest would be in another language."""
    for name in own:
        folder, _, what = name.rpartition("/")
        general = general_name(name).rpartition("/")[0]
        if what in TOGETHER and rule_of(general_name(name)):
            for other in sorted(TOGETHER - {what}):
                if not {f"{folder}/{other}", f"{general}/{other}"} & (own.keys() | shipped.keys()):
                    yield Remark(name, f"stands without its {other} in that language", f"Write {folder}/{other}, too")


def _is_language(code: str) -> bool:
    try:
        Locale.parse(code)
    except (UnknownLocaleError, ValueError):
        return False
    return True


def _nearest(name: str) -> str:
    """Give the right name that is the most like this one, in its language."""
    language, *rest = name.split("/")
    language = language if len(rest) == _PARTS_OF_A_NAME - 1 and _is_language(language) else "en"
    right = [f"{language}/{purpose}/{what}" for purpose, templates in RULES.items() for what in templates]
    near = get_close_matches(name, right, 1, 0.5)
    return near[0] if near else f"<language>/<purpose>/<what>, such as {right[0]}"

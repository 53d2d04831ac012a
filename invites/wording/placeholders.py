"""What each template may show, and what it must.

A message without its code or link is worse than none, and a text message that names a patient is read by whoever holds
the telephone. So what may stand in a template, and what must, is a table, which ``doorstep wording check`` and every
start hold a hospital's own templates to. The shipped ones are held to it by a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

PLACEHOLDERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "hospital": "The organisation's name",
        "contact": "Its telephone number for questions",
        "name": "The patient's title and name",
        "code": "The invitation code, in two groups of five",
        "token": "The token, in two groups of five",
        "link": "The link that carries the codes, or the secret",
        "page": "The address of the join page, without codes",
        "expires": "The last day on which the codes are sure to work",
        "secret": "What the link of an account's email carries, for those who type it",
        "until": "When that link ends: time and day",
        "language": "The language's code, for <html lang>",
    }
)
"""Every placeholder there is, and what it shows."""

SMS_TEXT: Final = "sms.txt"
SMS_SHORT: Final = "sms.short.txt"
EMAIL_SUBJECT: Final = "email.subject.txt"
EMAIL_TEXT: Final = "email.txt"
EMAIL_HTML: Final = "email.html"
LETTER_TEXT: Final = "letter.txt"

TOGETHER: Final = frozenset({EMAIL_SUBJECT, EMAIL_TEXT, EMAIL_HTML})
"""Who writes one of these in a language must write all: one email is not in two languages."""

_EMAIL: Final = frozenset({"hospital", "contact", "name", "page", "language"})
_PLAIN: Final = frozenset({"hospital", "contact", "page", "expires"})
_LETTER: Final = frozenset({"hospital", "contact", "name", "page", "expires"})


class Rule(Struct, frozen=True):
    """One template: what it ``may`` show, and groups of which it ``must`` show one each."""

    may: frozenset[str]
    must: tuple[frozenset[str], ...] = ()


def _rule(may: frozenset[str], *must: str) -> Rule:
    groups = tuple(frozenset(group.split("|")) for group in must)
    return Rule(may.union(*groups), groups)


def _of_pair(*halves: str) -> dict[str, Rule]:
    """The templates of a message that carries a pair, or half of one."""
    link = "link" if len(halves) > 1 else "page"
    both = {"link", "page"} if len(halves) > 1 else {"page"}
    return {
        SMS_TEXT: _rule(_PLAIN | both, *halves, link),
        SMS_SHORT: _rule(_PLAIN | both, *halves, link),
        EMAIL_SUBJECT: _rule(frozenset({"hospital"})),
        EMAIL_TEXT: _rule(_EMAIL | both | {"expires"}, *halves, link, "expires"),
        EMAIL_HTML: _rule(_EMAIL | both | {"expires"}, *halves, link, "expires"),
        LETTER_TEXT: _rule(_LETTER | both, *halves, "page", "expires", "contact"),
    }


def _of_account(*must: str) -> dict[str, Rule]:
    """The templates of an account's email."""
    may = _EMAIL | {"link", "secret", "until"}
    return {
        EMAIL_SUBJECT: _rule(frozenset({"hospital"})),
        EMAIL_TEXT: _rule(may, *must),
        EMAIL_HTML: _rule(may, *must),
    }


RULES: Final[Mapping[str, Mapping[str, Rule]]] = MappingProxyType(
    {
        "invitation": _of_pair("code", "token"),
        "reminder": _of_pair("code", "token"),
        "pair_code": _of_pair("code"),
        "pair_token": _of_pair("token"),
        "confirm_account": _of_account("link", "secret"),
        "reset_password": _of_account("link", "secret"),
        "address_in_use": _of_account("link"),
    }
)
"""By purpose, the templates that its messages are written with. A test holds the purposes to those that can be sent."""


def rule_of(name: str) -> Rule | None:
    """Give the rule of a template by its name, ``<language>/<purpose>/<what>``; None where no message is so written."""
    purpose, _, what = name.partition("/")[2].partition("/")
    return RULES.get(purpose, {}).get(what)

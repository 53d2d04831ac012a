"""The little language in which a hospital describes its SMS supplier's HTTP interface. Pure.

**Placeholders** (``{to}``, ``{to_digits}``, ``{text}``, ``{reference}``, ``{secret}``) stand in URL, headers and body.
Each is escaped as its place asks: percent-encoded in a URL, as a JSON string inside a JSON body, form-encoded in a
form, as XML text in XML. A value can therefore never become structure, whatever a wording or a supplier's key holds.

**Rules** say which answers mean what: a status (``200``, ``2xx``) and perhaps one condition. ``200 status=0`` looks at
a JSON value by its path (``messages.0.status``), several values are separated by ``|``; ``200 body~^ERR`` searches the
text of the answer with a regular expression. A rule with a condition comes before one without, an exact status before a
class, and what no rule knows is *unknown*.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode
from xml.sax.saxutils import escape

from msgspec import Struct

from invites.channels.http_exchange import Reply

PLACEHOLDERS: Final = frozenset({"to", "to_digits", "text", "reference", "secret"})
FORMATS: Final[Mapping[str, str]] = {
    "json": "application/json",
    "form": "application/x-www-form-urlencoded",
    "xml": "application/xml; charset=utf-8",
    "text": "text/plain; charset=utf-8",
}

_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)\}")
_RULE: Final = re.compile(r"([1-5](?:\d\d|xx))(?:\s+(body~.+|[A-Za-z0-9_.$@:-]+=.*))?")
_BODY: Final = "body~"
_MOST_TEXT: Final = 20_000
"""Characters of an answer that a regular expression looks at."""


class Rule(Struct, frozen=True):
    """One kind of answer. ``path`` and ``values``, or ``pattern``, are its condition; neither: the status alone."""

    status: str
    path: str = ""
    values: tuple[str, ...] = ()
    pattern: str = ""

    @property
    def weight(self) -> tuple[bool, bool]:
        """The more exact rule has the greater."""
        return bool(self.path or self.pattern), "x" not in self.status

    def fits(self, reply: Reply) -> bool:
        """Whether this answer is of the rule's kind."""
        status = str(reply.status)
        if status != self.status and f"{status[0]}xx" != self.status:
            return False
        if self.pattern:
            return re.search(self.pattern, _text(reply)) is not None
        return not self.path or at(reply.json, self.path) in self.values


def read_rule(text: str) -> Rule:
    """Read a rule. Raises ValueError with what is wrong."""
    found = _RULE.fullmatch(text.strip())
    if found is None:
        raise ValueError('is no rule: write a status and perhaps a condition, such as "2xx" or "200 status=0|1"')
    status, condition = found[1], found[2] or ""
    if condition.startswith(_BODY):
        pattern = condition.removeprefix(_BODY)
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"has a regular expression that is none: {error}") from None
        return Rule(status, pattern=pattern)
    path, _, values = condition.partition("=")
    return Rule(status, path, tuple(values.split("|")) if path else ())


def judge(reply: Reply, kinds: Mapping[str, Iterable[Rule]]) -> str | None:
    """Give the name of the kind whose most exact rule fits; None when none does. Of equals the first kind wins."""
    fitting = [(rule.weight, name) for name, rules in kinds.items() for rule in rules if rule.fits(reply)]
    best = max((weight for weight, _ in fitting), default=None)
    return next((name for weight, name in fitting if weight == best), None)


def at(value: Any, path: str) -> str | None:
    """Give what stands at a path of a JSON document (names and positions joined by dots), as text; None for nothing."""
    for step in path.split("."):
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return _as_text(value)


def extract(reply: Reply, where: str) -> str:
    """Give the supplier's name for a message: at a JSON path, by ``body~(group)``, or ``header:Name``; else nothing."""
    if where.startswith(_BODY):
        found = re.search(where.removeprefix(_BODY), _text(reply))
        return found[1] if found and found.groups() else found[0] if found else ""
    if where.startswith("header:"):
        return reply.headers.get(where.removeprefix("header:").strip().lower(), "")
    return (at(reply.json, where) or "") if where else ""


def unknown_placeholders(template: str) -> list[str]:
    """Give the placeholders of a template that stand for nothing."""
    return sorted(set(_PLACEHOLDER.findall(template)) - PLACEHOLDERS)


def filled_url(template: str, values: Mapping[str, str]) -> str:
    """Fill a URL: every value percent-encoded."""
    return _filled(template, values, lambda value: quote(value, safe=""))


def filled_header(template: str, values: Mapping[str, str]) -> str:
    """Fill a header's value; line ends cannot get into it."""
    return _filled(template, values, lambda value: "".join(value.split("\r")).replace("\n", ""))


def filled_body(template: str, form: str, values: Mapping[str, str]) -> bytes:
    """Fill a body of that format. Raises ValueError for a JSON template that is no JSON."""
    if form == "json":
        return json.dumps(_filled_json(json.loads(template), values), ensure_ascii=False).encode()
    if form == "form":
        pairs = parse_qsl(template, keep_blank_values=True)
        return urlencode([(name, _filled(value, values, str)) for name, value in pairs]).encode()
    escaping = escape if form == "xml" else str
    return _filled(template, values, escaping).encode()


def _filled(template: str, values: Mapping[str, str], escaping: Callable[[str], str]) -> str:
    return _PLACEHOLDER.sub(lambda found: escaping(values[found[1]]) if found[1] in values else found[0], template)


def _filled_json(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled(value, values, str)
    if isinstance(value, list):
        return [_filled_json(one, values) for one in value]
    if isinstance(value, dict):
        return {name: _filled_json(one, values) for name, one in value.items()}
    return value


def _text(reply: Reply) -> str:
    return reply.body[: 4 * _MOST_TEXT].decode("utf-8", "replace")[:_MOST_TEXT]


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    return json.dumps(value) if isinstance(value, bool) else str(value)

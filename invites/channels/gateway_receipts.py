"""From what an SMS supplier calls back with to receipts, by the fields that the hospital named. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct

from invites.channels.gateway_rules import at as text_at
from invites.receipt import Receipt, ReceiptState, code_of, happened_at, name_of

_MILLISECONDS_FROM: Final = 10**11
"""A number of seconds as large as this lies 3,000 years ahead: they are milliseconds."""
_LATEST: Final = 10**14


class ReceiptFields(Struct, frozen=True):
    """Where things stand in a call: paths as in rules; ``states`` says what each status means, and whether for good."""

    items: str
    reference: str
    provider_reference: str
    status: str
    at: str
    states: Mapping[str, tuple[ReceiptState, bool]]


def receipts_of(provider: str, fields: ReceiptFields, said: Any, now: datetime) -> list[Receipt]:
    """Read every receipt in the call; what names no message, or has a status that means nothing here, is left out."""
    receipts = (_receipt(provider, fields, one, now) for one in _items(fields, said))
    return [receipt for receipt in receipts if receipt is not None]


def _items(fields: ReceiptFields, said: Any) -> list[Any]:
    for step in fields.items.split(".") if fields.items else ():
        said = said.get(step) if isinstance(said, dict) else None
    return said if isinstance(said, list) else [said]


def _receipt(provider: str, fields: ReceiptFields, said: Any, now: datetime) -> Receipt | None:
    status = text_at(said, fields.status) or ""
    meaning = fields.states.get(status) or fields.states.get(status.casefold())
    ours, theirs = _name(said, fields.reference), _name(said, fields.provider_reference)
    if meaning is None or not (ours or theirs):
        return None
    state, permanent = meaning
    at = happened_at(_instant(text_at(said, fields.at) if fields.at else None), now)
    return Receipt(provider, state, at, ours, theirs, permanent=permanent, code=code_of(status))


def _name(said: Any, path: str) -> str:
    return name_of((text_at(said, path) or "") if path else "")


def _instant(text: str | None) -> datetime | None:
    if not text:
        return None
    if text.isascii() and text.isdigit():
        number = int(text[: len(str(_LATEST))])
        if number >= _LATEST:
            return None
        return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)

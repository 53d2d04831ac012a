"""What a provider says of a message after it took it: a receipt (SPEC 6).

Receipts come late, twice, in any order and from two ways at once (callback and poll). So what counts is not what came
last but what they say together: :func:`prevailing` gives the same answer whatever the order in which they were heard.
*Sent* is less than any word on the end. Between two words on the end the later event counts, for a text message that
failed may arrive when the telephone is on again, and a letter that was posted may come back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Final

from msgspec import Struct

_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}").fullmatch
_LONGEST_NAME: Final = 128
_EARLIEST: Final = 2020
"""The first year in which a provider can have had a message of ours."""
UNREADABLE: Final = "unreadable_code"
"""Stands in place of a provider's code that is no code: prose may quote an address."""


class ReceiptState(StrEnum):
    """What a receipt says: handed on (``sent``), arrived (``delivered``), or did not and will not (``failed``)."""

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"


class Receipt(Struct, frozen=True):
    """One receipt of ``provider`` (its name, as the outbox keeps it) about one message.

    The message is named by our ``reference`` or by the provider's own ``provider_reference``; with both, ours counts.
    ``at`` (aware) is when it happened by the provider's clock, or when we heard, where it does not say.
    A failure is always the provider's last word on this message (a mail server that goes on trying has said *sent*);
    ``permanent`` says that the address is at fault, so that another message to it would fail as well. ``code`` is the
    provider's own (``permanent-failure``, ``5.1.1``), cut to a code by :func:`code_of`.
    """

    provider: str
    state: ReceiptState
    at: datetime
    reference: str = ""
    provider_reference: str = ""
    permanent: bool = False
    code: str = ""

    def __post_init__(self) -> None:
        """Refuse what names no message, has no zone, or calls a success permanent: faults of the caller."""
        if not self.reference and not self.provider_reference:
            raise ValueError("a receipt names its message by one of two references")
        if self.at.tzinfo is None:
            raise ValueError("a receipt's time has a zone")
        if self.permanent and self.state is not ReceiptState.FAILED:
            raise ValueError("only a failure is permanent")

    @property
    def said(self) -> Said:
        """What it says, without of what."""
        return Said(self.state, self.at, permanent=self.permanent)


class Said(Struct, frozen=True):
    """What a receipt says: state, time, and whether a failure is the address's."""

    state: ReceiptState
    at: datetime
    permanent: bool = False

    @property
    def rank(self) -> tuple[bool, datetime, bool, bool]:
        """What prevails has the greatest: the end before *sent*, the later, then *delivered*, then a permanent end."""
        return (self.state is not ReceiptState.SENT, self.at, self.state is ReceiptState.DELIVERED, self.permanent)


def prevailing(said: Iterable[Said]) -> Said | None:
    """Give what receipts say together, whatever their order; None for none."""
    return max(said, key=lambda each: each.rank, default=None)


def code_of(text: str) -> str:
    """Cut a provider's text to a code: itself where it is one (64 letters, digits, ``_.-``), else that it is none."""
    text = text.strip()
    return text if not text or _CODE(text) else UNREADABLE


def happened_at(told: datetime | None, now: datetime) -> datetime:
    """Give when something happened as a provider tells it (aware), or ``now`` where that cannot be.

    A clock that goes wrong is no reason to lose what it says. What lies ahead would prevail over all that is heard
    later, and at either end of the calendar a time can be shown in no other zone.
    """
    return min(told, now) if told is not None and told.year >= _EARLIEST else now


def name_of(text: str) -> str:
    """Give a provider's text as the name of a message; empty for what can be none, which no database may be asked for.

    PostgreSQL takes neither NUL nor, in a key, what is longer than a page.
    """
    return text if text.isascii() and text.isprintable() and len(text) <= _LONGEST_NAME else ""

"""What GOV.UK Notify's answers mean. Pure.

Their documentation asks that nobody reads the messages of errors, only status and type. One thing cannot be known from
those: whether a ValidationError is about the recipient or about our request. There the message begins with the name of
the field, which is part of their schema, so that word alone is read.

What only the hospital can mend (key, template, trial mode, clock) is *not sent*, never the patient's *refused*. A 500
is said to be unprocessed, but a search is cheap and certain, so everything from 500 up is *unknown*; and so is a
redirect, which Notify never gives: a 303 may follow upon a message that was taken (RFC 9110, 15.4.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from invites.channels.channel import Accepted, NotSent, Outcome, Refused, Unknown
from invites.receipt import Receipt, ReceiptState, code_of, happened_at, name_of

PROVIDER: Final = "notify"
RATE_WINDOW: Final = timedelta(seconds=60)
"""Their rate limit's window."""

_ERROR_TYPE: Final = re.compile(r"[A-Za-z]{1,40}").fullmatch
_OF_THE_RECIPIENT: Final = ("phone_number ", "email_address ")
_DAILY: Final = "TooManyRequestsError"

_STATES: Final[Mapping[str, tuple[ReceiptState, bool]]] = {
    "sending": (ReceiptState.SENT, False),
    "sent": (ReceiptState.SENT, False),
    "pending": (ReceiptState.SENT, False),
    "accepted": (ReceiptState.SENT, False),
    "received": (ReceiptState.SENT, False),
    "delivered": (ReceiptState.DELIVERED, False),
    "temporary-failure": (ReceiptState.FAILED, False),
    "technical-failure": (ReceiptState.FAILED, False),
    "validation-failed": (ReceiptState.FAILED, False),
    "virus-scan-failed": (ReceiptState.FAILED, False),
    "cancelled": (ReceiptState.FAILED, False),
    "permanent-failure": (ReceiptState.FAILED, True),
    "returned-letter": (ReceiptState.FAILED, True),
}
"""``received`` is a letter that was printed and posted."""

_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_LETTER: Final = "letter"
_PRINTERS_FAULT: Final = "permanent-failure"
"""Of a letter it says that it could not be printed, which is no fault of the address."""


def outcome_of(status: int, body: Any, now: datetime, retry_after: int | None = None) -> Outcome:
    """Judge the answer to a message that was posted."""
    if 200 <= status < 300:  # noqa: PLR2004 (RFC 9110, 15.3)
        name = body.get("id") if isinstance(body, dict) else None
        return Accepted(name) if isinstance(name, str) and name else Unknown("notify_answer_unreadable")
    kind, message = _error(body)
    code = f"notify_{status}" + (f"_{_snake(kind)}" if kind else "")
    if status >= 500 or status < 400:  # noqa: PLR2004
        return Unknown(code, silence(status, retry_after))
    if status == _TOO_MANY:
        return NotSent(code, _until_tomorrow(now) if kind == _DAILY else silence(status, retry_after))
    if status == 400 and kind == "ValidationError" and message.startswith(_OF_THE_RECIPIENT):  # noqa: PLR2004
        return Refused(code)
    return NotSent(code)


def silence(status: int, retry_after: int | None) -> timedelta | None:
    """How long Notify is to be left alone after an answer of that status; None for one that asks for nothing."""
    if retry_after and status in {_TOO_MANY, _UNAVAILABLE}:
        return timedelta(seconds=retry_after)
    return RATE_WINDOW if status == _TOO_MANY else None


def found(body: Any) -> str | None:
    """Give the id of the notification that a search by reference found; empty for none, None if that cannot be told."""
    listed = body.get("notifications") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        return None
    ids = [one.get("id") for one in listed if isinstance(one, dict)]
    return next((name for name in ids if isinstance(name, str) and name), "" if not listed else None)


def receipt_of(said: Any, now: datetime) -> Receipt | None:
    """Read a notification as a callback or a poll gives it; None for one that says nothing yet, or cannot be read."""
    if not isinstance(said, dict):
        return None
    status = _text(said.get("status"))
    reference, name = name_of(_text(said.get("reference"))), name_of(_text(said.get("id")))
    if status not in _STATES or not (reference or name):
        return None
    state, permanent = _STATES[status]
    kind = said.get("notification_type", said.get("type"))
    if kind == _LETTER and status == _PRINTERS_FAULT:
        permanent = False
    at = happened_at(_instant(said.get("completed_at")) or _instant(said.get("sent_at")), now)
    return Receipt(PROVIDER, state, at, reference, name, permanent=permanent, code=code_of(status))


def _error(body: Any) -> tuple[str, str]:
    errors = body.get("errors") if isinstance(body, dict) else None
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    kind, message = first.get("error"), first.get("message")
    known = isinstance(kind, str) and _ERROR_TYPE(kind) is not None
    return str(kind) if known else "", message if isinstance(message, str) else ""


def _snake(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind).lower()


def _until_tomorrow(now: datetime) -> timedelta:
    """Their day begins at midnight UTC."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today + timedelta(days=1, minutes=1) - now


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _instant(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at

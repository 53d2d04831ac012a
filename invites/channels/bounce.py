"""A bounce read: a delivery status notification (RFC 3464) and what it says of one of our mails. Pure.

Which mail it is about stands in it three times, and the first that is there counts: the envelope id that we gave
(Original-Envelope-Id), the Message-ID of the mail that it returns, or the one that it answers (References). What is no
DSN (an out-of-office notice, a person's reply, a bounce in prose) cannot be read here, and stays for a person.

A failure is the address's own fault where the status says so (RFC 3463: subject 1, or 2.1, a mailbox that is switched
off). A full mailbox, a policy or a server that could not be reached in days failed this mail alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Final

from invites.channels.channel import is_reference
from invites.channels.smtp_reply import enhanced_status
from invites.receipt import Receipt, ReceiptState, code_of, happened_at

PROVIDER: Final = "smtp"
MOST_BYTES: Final = 4 << 20
"""A DSN returns headers or a whole mail of ours, which has some kilobytes."""

_STATES: Final = {
    "failed": ReceiptState.FAILED,
    "delayed": ReceiptState.SENT,
    "relayed": ReceiptState.SENT,
    "expanded": ReceiptState.SENT,
    "delivered": ReceiptState.DELIVERED,
}
_FAULTS_OF_OTHERS: Final = frozenset({"5.1.0", "5.1.7", "5.1.8", "5.1.9"})
_SWITCHED_OFF: Final = "5.2.1"
_ID: Final = re.compile(r"<([A-Za-z0-9-]{1,64})@[^<>\s]+>")


def receipt_of(mail: bytes, now: datetime) -> Receipt | None:
    """Read a bounce; None for what is none, or names no mail that could be ours. Never raises.

    Anybody may write to the bounce address. So a mail that the standard library's parser falls over (parts nested
    without end, numbers without end) is one that cannot be read, and holds up no other.
    """
    if len(mail) > MOST_BYTES:
        return None
    try:
        return _read(mail, now)
    except Exception:  # noqa: BLE001 (whatever one mail does, the others are read)
        return None


def _read(mail: bytes, now: datetime) -> Receipt | None:
    message = message_from_bytes(mail)
    status = next(_parts(message, "message/delivery-status"), None)
    if message.get_content_type() != "multipart/report" or status is None:
        return None
    blocks = [block for block in status.get_payload() if isinstance(block, Message)] if status.is_multipart() else []
    said = next((block for block in blocks if _header(block, "Action").lower() in _STATES), None)
    reference = _reference(message, blocks)
    if said is None or not reference:
        return None
    state = _STATES[_header(said, "Action").lower()]
    code = enhanced_status(_header(said, "Status"))
    permanent = state is ReceiptState.FAILED and _blames_the_address(code)
    return Receipt(PROVIDER, state, _at(message, now), reference, permanent=permanent, code=code_of(code))


def _blames_the_address(code: str) -> bool:
    return (code.startswith("5.1.") and code not in _FAULTS_OF_OTHERS) or code == _SWITCHED_OFF


def _reference(message: Message, blocks: list[Message]) -> str:
    """Our reference, from the first place that has one."""
    envelope = next((_header(block, "Original-Envelope-Id") for block in blocks if "Original-Envelope-Id" in block), "")
    if is_reference(envelope):
        return envelope
    for returned in (*_parts(message, "message/rfc822"), *_parts(message, "text/rfc822-headers")):
        content = returned.get_payload(0) if returned.is_multipart() else _headers_of(returned)
        found = _ID.search(_header(content, "Message-ID")) if isinstance(content, Message) else None
        if found:
            return found[1]
    found = _ID.search(_header(message, "In-Reply-To") or _header(message, "References"))
    return found[1] if found else ""


def _headers_of(part: Message) -> Message:
    content = part.get_payload(decode=True)
    return message_from_bytes(content if isinstance(content, bytes) else b"")


def _parts(message: Message, content_type: str) -> Iterator[Message]:
    return (part for part in message.walk() if part.get_content_type() == content_type)


def _header(message: Message, name: str) -> str:
    return "".join(str(message.get(name, "")).split("\n")).strip()


def _at(message: Message, now: datetime) -> datetime:
    """When it happened: the bounce's own date, but not later than now."""
    try:
        at = parsedate_to_datetime(_header(message, "Date"))
    except (ValueError, TypeError, OverflowError):
        return now
    return happened_at(at if at.tzinfo is not None else at.replace(tzinfo=UTC), now)

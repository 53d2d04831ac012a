"""What a mail server's *no* means: whose fault it is decides between another try and another channel.

A 4xx asks for another try (RFC 5321, 4.2.1), whenever it comes. A 5xx is a refusal for good, but of what? Only one that
blames the address or the mailbox is the patient's *refused* and the next channel's turn. "Relaying denied", a lost
login, a blocked sender or a size limit are between the hospital and its mail server: taken for the patient's they would
send a whole town letters because of one wrong setting. Those are *not sent*, to be tried again while somebody mends
them, until ``give_up_after``.

The enhanced status code (RFC 3463; RFC 2034 puts it at the head of the text) says it where there is one: subject 1 is
addressing and 2 the mailbox, 4 the way to that address. Without one the basic code must do (RFC 5321, 4.2.2).
"""

from __future__ import annotations

import re
from typing import Final

from invites.channels.channel import NotSent, Refused

TEMPORARY: Final = range(400, 500)
SUCCESS: Final = range(200, 300)

_ENHANCED: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?=\s|$)")
_OF_THE_ADDRESS: Final = frozenset({"1", "2", "4"})
_OF_SOMEBODY_ELSE: Final = frozenset({"5.1.0", "5.1.7", "5.1.8", "5.1.9"})
"""Addressing, but of the sender's address (which some servers tell at RCPT, Postfix among them), or nobody's."""
_MAILBOX_CODES: Final = frozenset({550, 551, 552, 553, 556})
"""Mailbox unavailable, not local, full, its name not allowed; domain takes no mail (RFC 7504)."""
_QUEUE_IDS: Final = re.compile(r"(?:queued as|InternalId=|\bid=)\s*([A-Za-z0-9.-]{4,64})")


def enhanced_status(text: str) -> str:
    """Give the enhanced status code at the head of a reply's text (``5.1.1``), or nothing."""
    found = _ENHANCED.match(text)
    return found[0] if found else ""


def refusal(phase: str, code: int, text: str) -> NotSent | Refused:
    """Judge a reply that was not the hoped-for one: ``phase`` is connect, login, mail, rcpt, data or end."""
    enhanced = enhanced_status(text)
    why = f"smtp_{phase}_{code if 0 < code < 1000 else 'garbled'}" + (f"_{enhanced}" if enhanced else "")  # noqa: PLR2004
    return Refused(why) if _blames_the_address(phase, code, enhanced) else NotSent(why)


def queue_id(text: str, otherwise: str) -> str:
    """Give the name under which the server says it queued the message; its other words are not kept."""
    found = _QUEUE_IDS.search(text)
    return found[1] if found else otherwise


def _blames_the_address(phase: str, code: int, enhanced: str) -> bool:
    if code in TEMPORARY or phase not in {"rcpt", "data", "end"}:
        return False
    if enhanced.startswith("5."):
        return enhanced.split(".")[1] in _OF_THE_ADDRESS and enhanced not in _OF_SOMEBODY_ELSE
    return phase == "rcpt" and code in _MAILBOX_CODES

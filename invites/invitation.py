"""What can become of an invitation on its way out: one outbox entry's states, as a table (SPEC 5.3).

The one question behind the table is *may it have been sent?* Up to ``claimed`` certainly not, so a lapsed lease frees
the entry and a cancellation stops it. ``sending`` is the window in which nobody knows: it is committed before the
provider is called, and whoever finds it with a lapsed lease can only call it ``unknown``. No arrow leads from
``unknown`` back to ``queued`` but one: the provider was asked, and it is certain that nothing was sent. And the truth
may arrive late: *accept* leads out of every state that is not final, for whoever has it must not be sent it again.

:func:`drawing` makes the picture from the table; a test holds this copy of it to the table:

    accepted   (final)
    cancelled  (final)
    claimed    --accept--> accepted
    claimed    --cancel--> cancelled
    claimed    --expire--> expired
    claimed    --refuse--> refused
    claimed    --release--> queued
    claimed    --send--> sending
    expired    (final)
    given_up   (final)
    queued     --accept--> accepted
    queued     --cancel--> cancelled
    queued     --claim--> claimed
    queued     --expire--> expired
    refused    (final)
    sending    --accept--> accepted
    sending    --give_up--> given_up
    sending    --lose--> unknown
    sending    --not_sent--> queued
    sending    --refuse--> refused
    unknown    --accept--> accepted
    unknown    --give_up--> given_up
    unknown    --not_sent--> queued
    unknown    --refuse--> refused
    unknown    --resend--> sending
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

from invites.errors import IllegalTransition

FIRST: Final = "invitation"
"""The purpose of what eligibility starts."""

REMINDER: Final = "reminder"
"""The purpose of what time starts, for who has not registered; its number is the reminder's own."""


class EntryState(StrEnum):
    """Where an outbox entry stands. Final ones have no payload any more."""

    QUEUED = "queued"
    CLAIMED = "claimed"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    GIVEN_UP = "given_up"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class EntryEvent(StrEnum):
    """What can happen to an outbox entry."""

    CLAIM = "claim"
    RELEASE = "release"
    CANCEL = "cancel"
    EXPIRE = "expire"
    SEND = "send"
    ACCEPT = "accept"
    NOT_SENT = "not_sent"
    REFUSE = "refuse"
    GIVE_UP = "give_up"
    LOSE = "lose"
    RESEND = "resend"


TRANSITIONS: Final = {
    (EntryState.QUEUED, EntryEvent.CLAIM): EntryState.CLAIMED,
    (EntryState.QUEUED, EntryEvent.CANCEL): EntryState.CANCELLED,
    (EntryState.QUEUED, EntryEvent.EXPIRE): EntryState.EXPIRED,
    (EntryState.QUEUED, EntryEvent.ACCEPT): EntryState.ACCEPTED,
    (EntryState.CLAIMED, EntryEvent.RELEASE): EntryState.QUEUED,
    (EntryState.CLAIMED, EntryEvent.CANCEL): EntryState.CANCELLED,
    (EntryState.CLAIMED, EntryEvent.EXPIRE): EntryState.EXPIRED,
    (EntryState.CLAIMED, EntryEvent.REFUSE): EntryState.REFUSED,
    (EntryState.CLAIMED, EntryEvent.SEND): EntryState.SENDING,
    (EntryState.CLAIMED, EntryEvent.ACCEPT): EntryState.ACCEPTED,
    (EntryState.SENDING, EntryEvent.ACCEPT): EntryState.ACCEPTED,
    (EntryState.SENDING, EntryEvent.NOT_SENT): EntryState.QUEUED,
    (EntryState.SENDING, EntryEvent.REFUSE): EntryState.REFUSED,
    (EntryState.SENDING, EntryEvent.GIVE_UP): EntryState.GIVEN_UP,
    (EntryState.SENDING, EntryEvent.LOSE): EntryState.UNKNOWN,
    (EntryState.UNKNOWN, EntryEvent.RESEND): EntryState.SENDING,
    (EntryState.UNKNOWN, EntryEvent.ACCEPT): EntryState.ACCEPTED,
    (EntryState.UNKNOWN, EntryEvent.NOT_SENT): EntryState.QUEUED,
    (EntryState.UNKNOWN, EntryEvent.REFUSE): EntryState.REFUSED,
    (EntryState.UNKNOWN, EntryEvent.GIVE_UP): EntryState.GIVEN_UP,
}

FINAL: Final = frozenset(EntryState) - {state for state, _ in TRANSITIONS}
"""States that nothing leaves."""

CANCELLABLE: Final = frozenset(state for state, event in TRANSITIONS if event is EntryEvent.CANCEL)
"""States in which certainly nothing was sent, so that a cancellation is in time."""


def after(state: EntryState, event: EntryEvent) -> EntryState:
    """Give the next state. Raises :class:`IllegalTransition` where the table has none."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise IllegalTransition(state, event) from None


def drawing() -> str:
    """Draw the table: a line for each arrow, and one for each final state, sorted."""
    arrows = [f"{state:<10} --{event}--> {becomes}" for (state, event), becomes in TRANSITIONS.items()]
    return "\n".join(sorted(arrows + [f"{state:<10} (final)" for state in FINAL]))


def next_channel(usable: tuple[str, ...], tried: Collection[str]) -> str | None:
    """Give the first usable channel (in the policy's order) that was not tried yet, or None when all were."""
    return next((channel for channel in usable if channel not in tried), None)

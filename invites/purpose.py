"""What a message is for, and what may still stop it between its queuing and its sending (SPEC 5.3).

Everything that leaves the house goes through the one outbox: invitations, the halves of a pair that staff send by two
channels, and the mails of an account. They differ in three things: which templates they are written with (the folder
of their purpose), which reasons of :mod:`invites.eligibility` stop them at the late re-check, and whether they go to
a contact of the record or to an address that the person typed.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from invites.eligibility import STOPPING, Reason
from invites.invitation import FIRST, REMINDER

PAIR_CODE: Final = "pair_code"
PAIR_TOKEN: Final = "pair_token"  # noqa: S105 (a purpose, not a token)
"""The halves of a pair, each by a channel of its own, when staff issue one on the spot."""

CONFIRM_ACCOUNT: Final = "confirm_account"
"""The link that makes a person registered."""

RESET_PASSWORD: Final = "reset_password"  # noqa: S105 (a purpose, not a password)
ADDRESS_IN_USE: Final = "address_in_use"
"""Tells the owner of an address, and nobody else, that it has an account already."""

_GONE: Final = frozenset({Reason.MERGED, Reason.DELETED, Reason.DECEASED})


class Purpose(Struct, frozen=True):
    """How a kind of message is treated: ``stopped_by`` at the late re-check; ``typed`` when the address is its own."""

    stopped_by: frozenset[Reason]
    typed: bool = False


PURPOSES: Final = {
    FIRST: Purpose(frozenset(Reason)),
    REMINDER: Purpose(frozenset(Reason)),
    PAIR_CODE: Purpose(STOPPING),
    PAIR_TOKEN: Purpose(STOPPING),
    CONFIRM_ACCOUNT: Purpose(STOPPING, typed=True),
    RESET_PASSWORD: Purpose(_GONE, typed=True),
    ADDRESS_IN_USE: Purpose(_GONE, typed=True),
}
"""Every purpose that this version can send. An entry of another one rests: a newer doorstep made it."""

"""What can go wrong with invitations, named by what to do next. Expected results (ineligible, refused) are values."""

from __future__ import annotations


class InvitesError(Exception):
    """Base of all errors of this package. Its text carries codes, never content."""


class AccessTokenDoesNotOpen(InvitesError):
    """The pair does not open this wrapped key: another pair, another pepper, another row, or damaged bytes."""


class IllegalTransition(InvitesError):
    """A state was asked for an event that its table does not have: a fault of the program, never of the data."""

    def __init__(self, state: str, event: str) -> None:
        """Name the state and the event."""
        super().__init__(f"an outbox entry that is {state} cannot {event}")

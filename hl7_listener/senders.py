"""Which profile a message's sender has: the one that names it, else the listener's, else none. Pure.

A profile names senders by listener, MSH-3 and MSH-4, each a pattern (``PAS*``) in any case. Of several that match the
one that says most counts; two that say equally much of the same sender are a fault of the configuration.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

from msgspec import Struct

from hl7_listener.sender_profile import SenderProfile

PLAIN: Final = SenderProfile()
"""The profile of whom nobody described."""

_MOST_KNOWN: Final = 1000
"""Senders whose profile is remembered; who sends under more names than that is looked up each time."""
_LONGEST_KNOWN: Final = 200


class Match(Struct, frozen=True):
    """Whom a profile is for: patterns in upper case; empty: any."""

    listeners: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    facilities: tuple[str, ...] = ()

    @property
    def weight(self) -> int:
        """How much it says: a match of everybody is none."""
        return sum(map(bool, (self.listeners, self.applications, self.facilities)))

    def covers(self, listener: str, application: str, facility: str) -> bool:
        """Whether a sender is meant; all in upper case."""
        return (
            _any(self.listeners, listener) and _any(self.applications, application) and _any(self.facilities, facility)
        )


def _any(patterns: tuple[str, ...], text: str) -> bool:
    return not patterns or any(fnmatchcase(text, pattern) for pattern in patterns)


class Senders:
    """The profiles of one listener's senders."""

    def __init__(
        self, listener: str = "", default: SenderProfile = PLAIN, named: tuple[tuple[Match, SenderProfile], ...] = ()
    ) -> None:
        self._listener = listener.upper()
        self._default = default
        self._named = sorted((one for one in named if one[0].weight), key=lambda one: -one[0].weight)
        self._known: dict[tuple[str, str], SenderProfile] = {}

    def profile(self, application: str, facility: str) -> SenderProfile:
        """Give the profile of a sender, by MSH-3 and MSH-4 as received (their first components count)."""
        if not self._named:
            return self._default
        sender = (application, facility)
        found = self._known.get(sender)
        if found is None:
            found = self._find(
                application.partition("^")[0].strip().upper(), facility.partition("^")[0].strip().upper()
            )
            if len(self._known) < _MOST_KNOWN and len(application) + len(facility) < _LONGEST_KNOWN:
                self._known[sender] = found
        return found

    def _find(self, application: str, facility: str) -> SenderProfile:
        for match, profile in self._named:
            if match.covers(self._listener, application, facility):
                return profile
        return self._default


NOBODY_DESCRIBED: Final = Senders()

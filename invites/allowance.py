"""How many invitations may be issued now: what caps, pauses, hours and the canary leave, counted down as it is used."""

from __future__ import annotations

from collections.abc import Mapping

UNLIMITED = None


class Allowance:
    """So many more of each channel (None: any number), and so many in all."""

    def __init__(self, by_channel: Mapping[str, int | None], in_all: int | None = UNLIMITED) -> None:
        self._by_channel = dict(by_channel)
        self._in_all = in_all
        self.taken = 0

    def limit(self, in_all: int | None) -> None:
        """Let no more than so many have a place, None: no further limit."""
        if in_all is not None:
            self._in_all = in_all if self._in_all is None else min(self._in_all, in_all)

    def take(self, channel: str) -> bool:
        """Take one place of that channel; gives whether there was one."""
        left = self._by_channel.get(channel, UNLIMITED)
        if self._in_all == 0 or left == 0:
            return False
        if left is not UNLIMITED:
            self._by_channel[channel] = left - 1
        if self._in_all is not UNLIMITED:
            self._in_all -= 1
        self.taken += 1
        return True

    @property
    def used_up(self) -> bool:
        """Whether nobody can have a place any more."""
        return self._in_all == 0 or (bool(self._by_channel) and all(left == 0 for left in self._by_channel.values()))

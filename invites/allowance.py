"""How many invitations may be issued now: what caps, pauses, hours and the canary leave, counted down as it is used."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from invites.rhythm import Rhythm

UNLIMITED = None
NO_ROOM = 0

ALL = ""
"""The channel under which all channels are counted together."""


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
        return self.take_up_to(channel, 1) == 1

    def take_up_to(self, channel: str, wanted: int) -> int:
        """Take so many places of that channel, or as many as there are; gives how many."""
        left = self._by_channel.get(channel, UNLIMITED)
        granted = min([wanted, *(room for room in (left, self._in_all) if room is not UNLIMITED)])
        if left is not UNLIMITED:
            self._by_channel[channel] = left - granted
        if self._in_all is not UNLIMITED:
            self._in_all -= granted
        self.taken += granted
        return granted

    @property
    def used_up(self) -> bool:
        """Whether nobody can have a place any more."""
        return self._in_all == 0 or (bool(self._by_channel) and all(left == 0 for left in self._by_channel.values()))


def allowance_of(
    rhythm: Rhythm, channels: Collection[str], taken: Mapping[str, int], shut: Collection[str]
) -> Allowance:
    """What the caps leave of a day of which so much is taken, by channel (:data:`ALL` together); nothing where shut."""
    room = {name: NO_ROOM if name in shut else left(rhythm.channel_caps.get(name), taken, name) for name in channels}
    return Allowance(room, left(rhythm.daily_cap, taken, ALL))


def left(cap: int | None, taken: Mapping[str, int], channel: str) -> int | None:
    """What a cap leaves; None: any number."""
    return UNLIMITED if cap is None else max(NO_ROOM, cap - taken.get(channel, 0))

"""When a hospital lets invitations go out, and how many: hours, caps, canary, automatic pause, reminders (SPEC 5.4).

All of it is data, off unless configured, and binds invitations and reminders alone: the mail that confirms an account
waits for no morning. Nothing here looks at a clock or a database; :mod:`invites.gate` asks it what is open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

from msgspec import Struct

EVERY_DAY: Final = frozenset(range(7))
QUIET_HOURS: Final = "quiet_hours"
WEEKDAY: Final = "weekday"
HOLIDAY: Final = "holiday"
LATE: Final = timedelta(days=14)
"""How long after its time a reminder may still go out: long enough for a pause, too short to surprise."""

_LOOK_AHEAD: Final = 400  # days: a calendar that is closed for longer never opens


class CallingHours(Struct, frozen=True):
    """The local hours and days on which messages of some channels go out.

    Quiet from ``quiet_from`` until ``quiet_until`` (over midnight when the first is the later; equal or None: never);
    ``weekdays`` from 0, Monday; ``channels`` are those that keep these hours. A letter disturbs nobody at night.
    """

    quiet_from: time | None = None
    quiet_until: time | None = None
    weekdays: frozenset[int] = EVERY_DAY
    holidays: frozenset[date] = frozenset()
    channels: frozenset[str] = frozenset({"sms", "email"})

    def closed(self, channel: str, local: datetime) -> str | None:
        """Say as a code why nothing goes out by that channel at this local time; None: it may."""
        if channel not in self.channels:
            return None
        return self._day_closed(local.date()) or (QUIET_HOURS if self._quiet(local.time()) else None)

    def opens(self, channel: str, now: datetime, zone: tzinfo) -> datetime | None:
        """When messages of that channel next may go out, now included; None: on no day of the next year."""
        local = now.astimezone(zone)
        if self.closed(channel, local) is None:
            return now
        for after in range(_LOOK_AHEAD):
            day = local.date() + timedelta(days=after)
            for at in (time(), self.quiet_until or time()):
                moment = datetime.combine(day, at, tzinfo=zone)
                if moment > local and self.closed(channel, moment) is None:
                    return moment.astimezone(now.tzinfo)
        return None

    def open_on(self, channel: str, day: date) -> bool:
        """Whether anything goes out by that channel on that day at all."""
        return channel not in self.channels or self._day_closed(day) is None

    def _day_closed(self, day: date) -> str | None:
        if day.weekday() not in self.weekdays:
            return WEEKDAY
        return HOLIDAY if day in self.holidays else None

    def _quiet(self, at: time) -> bool:
        begins, ends = self.quiet_from, self.quiet_until
        if begins is None or ends is None or begins == ends:
            return False
        return begins <= at < ends if begins < ends else at >= begins or at < ends


class AutomaticPause(Struct, frozen=True):
    """Pause a channel of an organisation when too much fails: ``percent`` of at least ``at_least`` results of a day.

    Results are answers of providers (accepted, refused) and receipts of failure. ``challenges`` is the percentage of
    wrong dates of birth among the answers given on the join site; above it the whole organisation pauses. None: never.
    """

    percent: int | None = None
    at_least: int = 50
    challenges: int | None = None


class Reminder(Struct, frozen=True):
    """Write again ``after`` so long since an invitation was accepted, to who is not registered, by ``channel``."""

    after: timedelta
    channel: str

    def by(self, channels: Sequence[str]) -> str:
        """By which channel it goes to who can be reached by these, the first of them first."""
        return self.channel if self.channel in channels else channels[0]


class Rhythm(Struct, frozen=True):
    """Everything about when and how many; by default nothing is held back.

    ``daily_cap`` is an organisation's for all channels together, ``channel_caps`` each channel's, for every
    organisation alike and by local day. With a ``canary`` an organisation's first run invites so many and waits: for a
    command, or for ``canary_wait`` when that long after it nine in ten were accepted and nothing was paused.
    """

    hours: CallingHours = CallingHours()
    daily_cap: int | None = None
    channel_caps: Mapping[str, int] = {}
    canary: int | None = None
    canary_wait: timedelta | None = None
    pause: AutomaticPause = AutomaticPause()
    reminders: tuple[Reminder, ...] = ()

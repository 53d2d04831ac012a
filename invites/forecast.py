"""What the next days would send, and what that costs, without sending anything (SPEC 1, the dry run).

Everybody who may be invited is unsealed once, page by page, and only counted: a million people are as many numbers as
one. The days are then filled as the daemon would: the hours of each organisation, what its caps leave (today less what
was begun), its canary, its pauses. Reminders and next channels are not foreseen; they take places of the same caps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from msgspec import Struct, field

from invites.rhythm import Rhythm

DAYS: Final = 14
"""How many days are looked at; what has no place in them is later."""


class DayPlan(Struct, frozen=True):
    """How many invitations an organisation would send on one local day, by channel."""

    organisation: str
    day: date
    by_channel: dict[str, int]


class Plan(Struct):
    """The next days, whoever finds no place in them, and why."""

    days: list[DayPlan] = field(default_factory=list)
    later: Counter[str] = field(default_factory=Counter)


class Standing(Struct, frozen=True):
    """Where an organisation stands today.

    ``begun`` so many by channel ("" all together); ``canary_left``, None: any number; ``paused`` channels.
    """

    begun: Mapping[str, int]
    canary_left: int | None
    paused: Collection[str]


class Prices(Struct, frozen=True):
    """What one of each costs."""

    sms_part: Decimal = Decimal(0)
    email: Decimal = Decimal(0)
    letter: Decimal = Decimal(0)

    def of(self, by_channel: Mapping[str, int], sms_parts: int) -> dict[str, Decimal]:
        """What so many messages cost, by channel."""
        return {
            "sms": self.sms_part * sms_parts,
            "email": self.email * by_channel.get("email", 0),
            "letter": self.letter * by_channel.get("letter", 0),
        }


def spread(
    organisation: str, waiting: Mapping[str, int], rhythm: Rhythm, standing: Standing, local_now: datetime
) -> Plan:
    """Give the next days of an organisation with so many waiting by channel (the policy's order); counts alone."""
    plan = Plan()
    left = Counter(waiting)
    canary = standing.canary_left
    for after in range(DAYS):
        day = local_now.date() + timedelta(days=after)
        sent: dict[str, int] = {}
        in_all = _left(rhythm.daily_cap, standing.begun.get("", 0) if not after else 0)
        for channel in waiting:
            if channel in standing.paused or not _opens(rhythm, channel, day, local_now):
                continue
            begun = standing.begun.get(channel, 0) if not after else 0
            room = [_left(rhythm.channel_caps.get(channel), begun), in_all, canary, left[channel]]
            count = min(each for each in room if each is not None)
            if count:
                sent[channel] = count
                left[channel] -= count
                in_all = None if in_all is None else in_all - count
                canary = None if canary is None else canary - count
        if sent:
            plan.days.append(DayPlan(organisation, day, sent))
    plan.later.update({channel: count for channel, count in left.items() if count})
    return plan


def _left(cap: int | None, begun: int) -> int | None:
    return None if cap is None else max(0, cap - begun)


def _opens(rhythm: Rhythm, channel: str, day: date, local_now: datetime) -> bool:
    """Whether that channel is open on that day, today from now on."""
    if not rhythm.hours.open_on(channel, day):
        return False
    if day > local_now.date() or local_now.tzinfo is None:
        return True
    opens = rhythm.hours.opens(channel, local_now, local_now.tzinfo)
    return opens is not None and opens.astimezone(local_now.tzinfo).date() == day

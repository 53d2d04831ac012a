"""What the next days would send, and what that costs, without sending anything (SPEC 1, the dry run): the terms.

Everybody who may be invited is unsealed once, page by page, and only counted: a million people are as many numbers as
one, for of each counts only by which channel, in which language, and how they would be reminded.
:mod:`invites.outlook` counts, :mod:`invites.rehearsal` fills the days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from msgspec import Struct, field

from invites.channels.channel import EMAIL, LETTER, SMS
from invites.rhythm import Reminder

DAYS: Final = 14
"""How many days are looked at; what has no place in them is later."""


class Invitee(Struct, frozen=True):
    """What counts of a person: the channel of a message, its language, and the channels of the reminders after it.

    ``reminders`` are in the order of their numbers; None: there is none of that number.
    """

    channel: str
    language: str = ""
    reminders: tuple[str | None, ...] = ()


class Due(Struct, frozen=True):
    """So many reminders that fall due at a moment (UTC), by one channel and in one language."""

    at: datetime
    channel: str
    language: str = ""
    count: int = 1


class InOutbox(Struct, frozen=True):
    """A message that was issued and goes out from ``due`` (UTC) on.

    ``first``: it is no reminder; ``foreseen``: it is in no outbox yet, but only in the forecast.
    """

    due: datetime
    invitee: Invitee
    first: bool = True
    foreseen: bool = False


class Ahead(Struct, frozen=True):
    """A reminder, and those that follow what was accepted already, in the order of their time, to be read once."""

    reminder: Reminder
    dues: Iterator[Due]


class Backlog(Struct, frozen=True):
    """What the next days have to do for an organisation: who may be invited, what was issued, the reminders."""

    waiting: Mapping[Invitee, int]
    outbox: Mapping[InOutbox, int] = {}
    ahead: Sequence[Ahead] = ()


class DayPlan(Struct, frozen=True):
    """How many messages of a kind an organisation would send on one local day, by channel."""

    organisation: str
    day: date
    by_channel: dict[str, int]


class Plan(Struct):
    """The next days, and whoever finds no place in them.

    ``days`` and ``later`` are invitations; ``reminder_days`` and ``reminders_later`` reminders that fall due meanwhile.
    ``reminders`` are all of those by channel and language; ``too_late`` counts those that found no place in time.
    """

    days: list[DayPlan] = field(default_factory=list)
    later: Counter[str] = field(default_factory=Counter)
    reminder_days: list[DayPlan] = field(default_factory=list)
    reminders_later: Counter[str] = field(default_factory=Counter)
    reminders: Counter[tuple[str, str]] = field(default_factory=Counter)
    too_late: int = 0


class Standing(Struct, frozen=True):
    """Where an organisation stands today.

    ``begun`` so many by channel ("" all together); ``canary_left``, None: any number; ``paused`` channels. ``channels``
    are the policy's, in its order.
    """

    begun: Mapping[str, int]
    canary_left: int | None
    paused: Collection[str]
    channels: Sequence[str] = (SMS, EMAIL, LETTER)


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

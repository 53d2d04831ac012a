"""What this room is told once, at the start. Nothing here reads a file or the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from msgspec import Struct

from invites.channels.channel import LETTER, Channel, HandedOver, Organisation, Provider
from invites.eligibility import Policy
from invites.retry import RetryPolicy
from invites.rhythm import Rhythm
from invites.throttle import RateLimit
from patient_records.blind_index import BlindIndex

LETTER_NEEDS = timedelta(days=14)
"""What must be left of a pair's life when its letter is posted (SPEC 5.4)."""


class Lane(Struct, frozen=True):
    """One channel and who carries its messages. Each lane has its own threads, so none waits for another's provider.

    ``round_off`` is called when all that was due is sent: a drop folder closes its batch then. ``limits`` are the
    provider's, kept by all daemons together.
    """

    channel: Channel
    provider: Provider
    round_off: Callable[[], HandedOver | None] = lambda: None
    limits: tuple[RateLimit, ...] = ()


class InviteOptions(Struct, frozen=True):
    """Everything that was configured about inviting.

    ``lifetime`` is a pair's; ``lease`` how long one daemon may keep an entry to itself, longer than any provider's
    timeout; ``issue_batch`` people share one transaction, ``claim_batch`` entries one claim and one commit;
    ``senders`` is how many calls of one provider run at a time; ``zone`` the local one, for ages and expiry dates.
    ``blind_index`` finds contacts that failed; without it none is known. ``organisations`` by code: the records of
    others are assessed but nobody is invited for them. ``letters_at`` is the local time of day at which letters are
    handed over, None for as they come. ``rhythm`` says when and how many; ``zones`` are those of organisations that
    have another one for that.
    """

    organisations: Mapping[str, Organisation]
    public_url: str
    policy: Policy = Policy()
    lifetime: timedelta = timedelta(days=30)
    retry: RetryPolicy = RetryPolicy()
    lease: timedelta = timedelta(minutes=5)
    issue_batch: int = 100
    claim_batch: int = 50
    senders: int = 4
    zone: tzinfo = UTC
    blind_index: BlindIndex | None = None
    letters_at: time | None = None
    rhythm: Rhythm = Rhythm()
    zones: Mapping[str, tzinfo] = {}

    def today(self, now: datetime) -> date:
        """The day on the local calendar."""
        return now.astimezone(self.zone).date()

    def entry_due(self, channel: str, now: datetime) -> datetime:
        """When a new entry is due: at once, a daily letter at the next time that letters are handed over.

        Until then it is queued like any other, so that a death or an answer by another way still stops it.
        """
        if channel != LETTER or self.letters_at is None:
            return now
        return next_at(self.letters_at, now, self.zone)

    def zone_of(self, organisation: str) -> tzinfo:
        """The zone of an organisation's hours and days."""
        return self.zones.get(organisation, self.zone)

    def today_of(self, organisation: str, now: datetime) -> date:
        """The day on an organisation's own calendar, in which its caps are counted."""
        return now.astimezone(self.zone_of(organisation)).date()

    def entry_expires(self, channel: str, token_expires: datetime) -> datetime:
        """Until when an entry may be sent: a letter is never posted with less than 14 days left (SPEC 5.4)."""
        return token_expires - LETTER_NEEDS if channel == LETTER else token_expires

    def last_sure_day(self, token_expires: datetime) -> date:
        """The last local day on which the pair works from the first minute to the last."""
        return self.today(token_expires) - timedelta(days=1)


def next_at(clock: time, now: datetime, zone: tzinfo) -> datetime:
    """Give the next moment after ``now`` at which clocks in that zone show that time, in UTC.

    A time that a zone leaves out in spring comes as much later; of one that it has twice in autumn the first counts.
    """
    today = now.astimezone(zone).date()
    moments = (datetime.combine(today + timedelta(days=ahead), clock, zone).astimezone(UTC) for ahead in range(3))
    return next(moment for moment in moments if moment > now)

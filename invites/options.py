"""What this room is told once, at the start. Nothing here reads a file or the environment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo

from msgspec import Struct

from invites.channels.channel import LETTER, Channel, Organisation, Provider
from invites.eligibility import Policy
from invites.retry import RetryPolicy
from patient_records.blind_index import BlindIndex

LETTER_NEEDS = timedelta(days=14)
"""What must be left of a pair's life when its letter is posted (SPEC 5.4)."""


class Lane(Struct, frozen=True):
    """One channel and who carries its messages. Each lane has its own threads, so none waits for another's provider."""

    channel: Channel
    provider: Provider


class InviteOptions(Struct, frozen=True):
    """Everything that was configured about inviting.

    ``lifetime`` is a pair's; ``lease`` how long one daemon may keep an entry to itself, longer than any provider's
    timeout; ``issue_batch`` people share one transaction, ``claim_batch`` entries one claim and one commit;
    ``senders`` is how many calls of one provider run at a time; ``zone`` the local one, for ages and expiry dates.
    ``blind_index`` finds contacts that failed; without it none is known. ``organisations`` by code: the records of
    others are assessed but nobody is invited for them.
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

    def today(self, now: datetime) -> date:
        """The day on the local calendar."""
        return now.astimezone(self.zone).date()

    def entry_expires(self, channel: str, token_expires: datetime) -> datetime:
        """Until when an entry may be sent: a letter is never posted with less than 14 days left (SPEC 5.4)."""
        return token_expires - LETTER_NEEDS if channel == LETTER else token_expires

    def last_sure_day(self, token_expires: datetime) -> date:
        """The last local day on which the pair works from the first minute to the last."""
        return self.today(token_expires) - timedelta(days=1)

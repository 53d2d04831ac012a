"""From the configuration to what the room of invitations is told: one frozen value, put together once."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from daemon.settings import Settings
from daemon.settings.invitations import Invitations
from daemon.settings.rhythm import WEEKDAYS, CohortRule
from invites.channels.channel import Organisation
from invites.cohorts import Cohort
from invites.eligibility import Confidentiality, Policy
from invites.options import InviteOptions
from invites.retry import RetryPolicy
from invites.rhythm import AutomaticPause, CallingHours, Reminder, Rhythm
from patient_records.blind_index import BlindIndex

_NUMBER: Final = {name: number for number, name in enumerate(WEEKDAYS)}


def invite_options(settings: Settings, blind_index: BlindIndex) -> InviteOptions:
    """Give everything that was configured about inviting."""
    invitations, delivery = settings.invitations, settings.delivery
    organisations = settings.all_organisations
    return InviteOptions(
        organisations={one.code: Organisation(one.code, one.name, one.contact) for one in organisations},
        public_url=settings.join.public_url,
        policy=_policy(invitations),
        lifetime=timedelta(days=invitations.lifetime_days),
        retry=RetryPolicy(delivery.first_retry, delivery.give_up_after),
        lease=delivery.lease,
        issue_batch=invitations.batch,
        zone=ZoneInfo(settings.organisation.timezone),
        blind_index=blind_index,
        letters_at=delivery.letter.daily_at,
        rhythm=_rhythm(invitations),
        zones={one.code: ZoneInfo(one.timezone) for one in organisations},
    )


def _policy(invitations: Invitations) -> Policy:
    flags = invitations.confidentiality
    return Policy(
        minimum_age=invitations.minimum_age,
        channels=tuple(invitations.channels),
        excluded_organisations=frozenset(invitations.excluded_organisations),
        excluded_senders=frozenset(invitations.excluded_senders),
        test_patients=re.compile(invitations.test_patients, re.IGNORECASE) if invitations.test_patients else None,
        cohorts=tuple(_cohort(rule) for rule in invitations.cohorts),
        confidentiality=Confidentiality(
            _capitals(flags.publicity), _capitals(flags.protection), _capitals(flags.harmless_vip)
        ),
    )


def _cohort(rule: CohortRule) -> Cohort:
    return Cohort(
        organisations=frozenset(rule.organisations),
        senders=frozenset(rule.senders),
        minimum_age=rule.minimum_age or None,
        maximum_age=rule.maximum_age or None,
        postcodes=tuple("".join(code.split()).upper() for code in rule.postcodes),
        created_since=date.fromisoformat(rule.created_since) if rule.created_since else None,
        percent=rule.percent,
    )


def _capitals(values: tuple[str, ...]) -> frozenset[str]:
    return frozenset(value.upper() for value in values)


def _rhythm(invitations: Invitations) -> Rhythm:
    caps, limits, hours = invitations.daily_cap, invitations.automatic_pause, invitations.hours
    by_channel = {"sms": caps.sms, "email": caps.email, "letter": caps.letter}
    return Rhythm(
        hours=CallingHours(
            *hours.quiet_times,
            frozenset(_NUMBER[name] for name in hours.weekdays),
            hours.holidays.days,
            frozenset(hours.channels),
        ),
        daily_cap=caps.all or None,
        channel_caps={channel: cap for channel, cap in by_channel.items() if cap},
        canary=invitations.canary.size or None,
        canary_wait=invitations.canary.wait,
        pause=AutomaticPause(limits.failures or None, limits.at_least, limits.challenges or None),
        reminders=tuple(Reminder(one.after, one.channel) for one in invitations.reminders),
    )

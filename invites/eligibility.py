"""Who may be invited, and why not everybody else (SPEC 5.1).

Every person has, at any time, either channels by which they may be invited or reasons why not. Reasons stand in a
fixed order, and the first is *the* reason that counts and lists show. :attr:`Reason.UNDER_AGE` is last on purpose: a
stored first reason of ``under_age`` then means that nothing else is in the way, and since it is the only one that
passes by the calendar alone, those people are looked at again each day, and beside them only those whom no channel
reached (:attr:`Reason.UNDELIVERABLE`). All else changes by a message, by staff or by the policy, and whoever brings the
change has the person assessed anew.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Final, TypeAlias

from msgspec import Struct

from invites.cohorts import Cohort
from invites.recipient import usable_channels
from patient_records.model import Demographics, PatientRecord, Standing

RULES: Final = 3
"""The version of the rules below and of what they ask (:mod:`invites.recipient`). Who changes a rule so that somebody
known already may be assessed differently counts it up: then everybody is looked at again, as under a new policy."""


class Reason(StrEnum):
    """Why a person is not invited, in order of weight: what is final comes first, what passes by itself last."""

    MERGED = "merged"
    DELETED = "deleted"
    DECEASED = "deceased"
    REGISTERED = "registered"
    INVITED = "invited"
    OPTED_OUT = "opted_out"
    HELD = "held"
    EXCLUDED = "excluded"
    EXCLUDED_ORGANISATION = "excluded_organisation"
    EXCLUDED_SENDER = "excluded_sender"
    TEST_PATIENT = "test_patient"
    CONFIDENTIAL = "confidential"
    OUTSIDE_COHORT = "outside_cohort"
    NO_DATE_OF_BIRTH = "no_date_of_birth"
    NO_CONTACT = "no_contact"
    UNDELIVERABLE = "undeliverable"
    UNDER_AGE = "under_age"

    @property
    def sentence(self) -> str:
        """The reason for humans."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    Reason.MERGED: "This record was merged into another one; that one counts.",
    Reason.DELETED: "The hospital deleted this person.",
    Reason.DECEASED: "The person has died.",
    Reason.REGISTERED: "The person has an account already.",
    Reason.INVITED: "An invitation was issued already.",
    Reason.OPTED_OUT: "The person asked not to be invited.",
    Reason.HELD: "The record is on hold.",
    Reason.EXCLUDED: "Staff or a rule excluded this person.",
    Reason.EXCLUDED_ORGANISATION: "The organisation that made this record invites nobody.",
    Reason.EXCLUDED_SENDER: "Records from this sender are not invited.",
    Reason.TEST_PATIENT: "The name is that of a test patient.",
    Reason.CONFIDENTIAL: "The hospital marked this person as confidential (PD1-11, PD1-12 or PV1-16).",
    Reason.OUTSIDE_COHORT: "The person is in none of the cohorts that are invited now.",
    Reason.NO_DATE_OF_BIRTH: "No full, real date of birth is known, so nobody could pass the challenge.",
    Reason.NO_CONTACT: "No usable contact for an allowed channel.",
    Reason.UNDELIVERABLE: "Every usable channel failed; looked at again each day, and when name or contacts change.",
    Reason.UNDER_AGE: "The person has not reached the minimum age.",
}

STOPPING: Final = frozenset(Reason) - {
    Reason.INVITED, Reason.OUTSIDE_COHORT, Reason.NO_CONTACT, Reason.UNDELIVERABLE, Reason.NO_DATE_OF_BIRTH,
    Reason.UNDER_AGE,
}  # fmt: skip
"""Reasons that end what is under way. The others only keep a new invitation from starting."""

ELIGIBLE: Final = "eligible"
"""The state of those without a reason; all other states are values of :class:`Reason`."""


class Confidentiality(Struct, frozen=True):
    """Which flags keep a person from being invited, compared in upper case.

    ``publicity`` (PD1-11, HL7 table 0215: N is "no publicity") and ``protection`` (PD1-12, table 0136) name values that
    exclude. PV1-16 is a table of each hospital's own (0099), so any value excludes that is not in ``harmless_vip``.
    """

    publicity: frozenset[str] = frozenset({"N"})
    protection: frozenset[str] = frozenset({"Y"})
    harmless_vip: frozenset[str] = frozenset({"", "N", "0"})

    def covers(self, person: Demographics) -> bool:
        """Whether one of the three flags excludes this person."""
        return (
            person.protection.upper() in self.protection
            or person.publicity.upper() in self.publicity
            or person.vip.upper() not in self.harmless_vip
        )


class Policy(Struct, frozen=True):
    """What a hospital decided about inviting.

    ``channels`` are the allowed ones in the order in which they are tried; ``minimum_age`` in completed years.
    ``test_patients`` is searched in each name, written "FAMILY, Given" as sent. ``excluded_organisations`` and
    ``excluded_senders`` are codes, and MSH-3 and MSH-4 as the record keeps them.
    """

    minimum_age: int = 16
    channels: tuple[str, ...] = ("sms", "email", "letter")
    excluded_organisations: frozenset[str] = frozenset()
    excluded_senders: frozenset[str] = frozenset()
    test_patients: re.Pattern[str] | None = re.compile(r"^(XX|ZZ+)[-_ ]?TEST", re.IGNORECASE)
    confidentiality: Confidentiality = Confidentiality()
    cohorts: tuple[Cohort, ...] = ()


class Eligible(Struct, frozen=True):
    """May be invited, by these channels, the first to be tried first."""

    channels: tuple[str, ...]

    @property
    def state(self) -> str:
        """What the eligibility table says."""
        return ELIGIBLE


class Ineligible(Struct, frozen=True):
    """May not be invited now; all reasons, weightiest first, never none."""

    reasons: tuple[Reason, ...]

    @property
    def state(self) -> str:
        """What the eligibility table says: the weightiest reason."""
        return self.reasons[0].value


Assessment: TypeAlias = Eligible | Ineligible


def assess(
    record: PatientRecord,
    policy: Policy,
    today: date,
    *,
    invited: bool,
    failed: Collection[str] = (),
    good: Demographics | None = None,
) -> Assessment:
    """Say whether a person may be invited on that day (of the organisation's calendar), or every reason why not.

    ``invited`` says whether an invitation was issued before that left the house, or may have, or still may; a pair
    issued over the API alone is none. ``failed`` are the channels that certainly reached nobody and would not now;
    ``good`` is the person without the contacts that are known to be bad, where there are any.
    """
    person = record.demographics
    usable = usable_channels(person, policy.channels)
    working = usable if good is None else usable_channels(good, policy.channels)
    channels = tuple([channel for channel in working if channel not in failed]) if failed else working
    reasons = [
        *_final_reasons(record.standing, person),
        *([Reason.INVITED] if invited else ()),
        *_decided_reasons(record, policy),
        *_cohort_reasons(record, policy, today),
        *_lacking_reasons(person, policy, today, usable, channels),
    ]
    return Ineligible(tuple(reasons)) if reasons else Eligible(channels)


def age_on(today: date, born: date) -> int:
    """Completed years on that day. Who was born on 29 February is a year older on 1 March of other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def _final_reasons(standing: Standing, person: Demographics) -> list[Reason]:
    """What ends all contact."""
    reasons = []
    if standing.merged_into is not None:
        reasons.append(Reason.MERGED)
    if standing.deleted_at is not None:
        reasons.append(Reason.DELETED)
    if person.death is not None:
        reasons.append(Reason.DECEASED)
    if standing.registered_at is not None:
        reasons.append(Reason.REGISTERED)
    return reasons


def _decided_reasons(record: PatientRecord, policy: Policy) -> list[Reason]:
    """What the person, staff, the feed or the policy decided."""
    standing, person = record.standing, record.demographics
    reasons = []
    if standing.opted_out_at is not None:
        reasons.append(Reason.OPTED_OUT)
    if standing.hold is not None:
        reasons.append(Reason.HELD)
    if standing.exclusion is not None:
        reasons.append(Reason.EXCLUDED)
    if record.organisation in policy.excluded_organisations:
        reasons.append(Reason.EXCLUDED_ORGANISATION)
    if person.sender in policy.excluded_senders:
        reasons.append(Reason.EXCLUDED_SENDER)
    if policy.test_patients is not None and _is_test_patient(person, policy.test_patients):
        reasons.append(Reason.TEST_PATIENT)
    if policy.confidentiality.covers(person):
        reasons.append(Reason.CONFIDENTIAL)
    return reasons


def _cohort_reasons(record: PatientRecord, policy: Policy, today: date) -> list[Reason]:
    """Whether the person is in none of the cohorts, where there are any."""
    if not policy.cohorts:
        return []
    born = record.demographics.birth.full if record.demographics.birth is not None else None
    age = age_on(today, born) if born is not None else None
    return [] if any(cohort.admits(record, age) for cohort in policy.cohorts) else [Reason.OUTSIDE_COHORT]


def _lacking_reasons(
    person: Demographics, policy: Policy, today: date, usable: tuple[str, ...], channels: tuple[str, ...]
) -> list[Reason]:
    """What is missing yet: a date of birth, a contact, one that did not fail, or years."""
    reasons = []
    born = person.birth.full if person.birth is not None else None
    if born is None:
        reasons.append(Reason.NO_DATE_OF_BIRTH)
    if not usable:
        reasons.append(Reason.NO_CONTACT)
    elif not channels:
        reasons.append(Reason.UNDELIVERABLE)
    if born is not None and age_on(today, born) < policy.minimum_age:
        reasons.append(Reason.UNDER_AGE)
    return reasons


def _is_test_patient(person: Demographics, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(f"{name.family}, {name.given}") for name in person.names)

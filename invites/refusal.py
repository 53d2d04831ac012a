"""Why nobody gets a pair for a person who is asked for by name (SPEC 7).

Less is asked than for an invitation: whoever asks takes the pair along, so neither a contact nor an earlier invitation
is in the way. The rest is the judgement of :mod:`invites.eligibility`, so that a rule has one home.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final

from invites.eligibility import Ineligible, Policy, Reason, assess
from patient_records.model import PatientRecord


class Refusal(StrEnum):
    """The code that a caller gets. In the order in which they are told: the first that holds is the answer.

    Whose record it is comes before everything that the record says, so that nobody learns of another hospital's
    patient more than that there is one.
    """

    NOT_FOUND = "user.notFound"
    ORGANISATION = "invitation.patient.organisation"
    REGISTERED = "invitation.patient.status"
    NO_DATE_OF_BIRTH = "invitation.patient.dateOfBirth"
    DECEASED = "invitation.patient.deceased"
    UNDER_AGE = "invitation.patient.age"
    EXCLUDED = "invitation.patient.excluded"
    DOES_NOT_OPEN = "service.record"

    @property
    def sentence(self) -> str:
        """The refusal for humans."""
        return _SENTENCES[self]


_SENTENCES: Final = {
    Refusal.NOT_FOUND: "User not found",
    Refusal.ORGANISATION: "The record was made by another organisation",
    Refusal.REGISTERED: "Registration already completed",
    Refusal.NO_DATE_OF_BIRTH: "The record has no full date of birth",
    Refusal.DECEASED: "The patient is deceased",
    Refusal.UNDER_AGE: "The patient is under the minimum age",
    Refusal.EXCLUDED: "The patient is on hold, opted out or excluded",
    Refusal.DOES_NOT_OPEN: "The record cannot be opened: tell the people who run this service",
}

_BY_REASON: Final = {
    Reason.MERGED: Refusal.NOT_FOUND,  # whoever asks follows a merge to its survivor first
    Reason.DELETED: Refusal.NOT_FOUND,
    Reason.DECEASED: Refusal.DECEASED,
    Reason.REGISTERED: Refusal.REGISTERED,
    Reason.NO_DATE_OF_BIRTH: Refusal.NO_DATE_OF_BIRTH,
    Reason.UNDER_AGE: Refusal.UNDER_AGE,
}

_NO_REFUSALS: Final = frozenset({Reason.INVITED, Reason.OUTSIDE_COHORT, Reason.NO_CONTACT, Reason.UNDELIVERABLE})

_ORDER: Final = {refusal: place for place, refusal in enumerate(Refusal)}


def judge(record: PatientRecord, organisation: str, policy: Policy, today: date) -> Refusal | None:
    """Say why this organisation gets no pair for the person on that day, or None where it does."""
    said = assess(record, policy, today, invited=False)
    found = [refusal_of(reason) for reason in said.reasons] if isinstance(said, Ineligible) else []
    if record.organisation != organisation:
        found.append(Refusal.ORGANISATION)
    return min((refusal for refusal in found if refusal is not None), key=_ORDER.__getitem__, default=None)


def refusal_of(reason: Reason) -> Refusal | None:
    """The refusal that a reason against inviting comes to; None where a pair may be asked for all the same."""
    return None if reason in _NO_REFUSALS else _BY_REASON.get(reason, Refusal.EXCLUDED)

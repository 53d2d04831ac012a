"""What a person-management message asks for, beyond "this is what we know of this person". Pure values.

The plain case is a :class:`patient_records.update.PatientUpdate`. The others are here, each around what their PID says;
:mod:`hl7_listener.person_acts` carries them out.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from patient_records.model import Identifier, Masked
from patient_records.update import PatientUpdate


class Prior(Masked, Struct, frozen=True):
    """One prior identifier (a repetition of MRG-1 or MRG-4).

    ``written`` is what stands there. Where authority or type were left out, ``meant`` are what PID's identifiers make
    of it, the likely readings; only a single one can be believed (HL7 2.5.1 chapter 3.4.10.1: MRG-1 is a CX too).
    """

    written: Identifier
    meant: tuple[Identifier, ...] = ()


class Group(Masked, Struct, frozen=True):
    """One PATIENT group: the person that PID describes, and the identifiers that are prior ones from now on.

    ``otherwise`` is the same by other fields, for where these do not tell who is meant.
    """

    update: PatientUpdate
    priors: tuple[Prior, ...]
    otherwise: Group | None = None


class MergePeople(Masked, Struct, frozen=True):
    """A40, A34, A36, A18, A30, A39: the prior person of each group is the one whom PID describes."""

    groups: tuple[Group, ...]


class ChangeIdentifiers(Masked, Struct, frozen=True):
    """A47, A46: the person of each group has other identifiers now."""

    groups: tuple[Group, ...]


class DeletePerson(Masked, Struct, frozen=True):
    """A29: the person is deleted."""

    update: PatientUpdate


class LinkPeople(Masked, Struct, frozen=True):
    """A24 and A37: two records are linked, or no longer; no data moves."""

    one: PatientUpdate
    other: PatientUpdate
    linked: bool


class MentionPerson(Masked, Struct, frozen=True):
    """Any other ADT event: what PID says counts where the person is known."""

    update: PatientUpdate


PersonEvent: TypeAlias = MergePeople | ChangeIdentifiers | DeletePerson | LinkPeople | MentionPerson


def identifiers_of(event: PersonEvent) -> list[Identifier]:
    """Every identifier that a message names, in whatever role: those to look up."""
    if isinstance(event, MergePeople | ChangeIdentifiers):
        groups = [*event.groups, *(group.otherwise for group in event.groups if group.otherwise is not None)]
        named = [one for group in groups for one in group.update.identifiers]
        for group in groups:
            for prior in group.priors:
                named += (prior.written, *prior.meant)
        return named
    if isinstance(event, LinkPeople):
        return [*event.one.identifiers, *event.other.identifiers]
    return list(event.update.identifiers)

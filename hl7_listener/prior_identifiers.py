"""What MRG names: identifiers that are prior ones from now on (HL7 2.5.1 chapter 3.4.10). Pure.

MRG-1 often comes barer than PID-3 does: the number alone, or with its authority and no type. Then PID-3's own kinds say
what it is, where they leave no doubt; who carries the merge out decides that, for he can see who is known.
"""

from __future__ import annotations

from collections.abc import Sequence

from hl7_listener.message import Message, Segment
from hl7_listener.person_event import Prior
from hl7_listener.person_fields import Reading, identifiers
from patient_records.model import Identifier
from patient_records.update import PatientUpdate


def priors(
    message: Message,
    mrg: Segment,
    reading: Reading,
    update: PatientUpdate,
    findings: list[str],
    *,
    fields: Sequence[int] = (1, 4, 2),
) -> tuple[Prior, ...]:
    """Read the prior identifiers of the first of these fields of MRG that has any; none if none has.

    What stands there and cannot be used is a finding.
    """
    found, _ = identifiers(message, mrg, fields, reading, findings)
    return tuple(Prior(one, _meant(one, update.identifiers)) for one in found)


def _meant(written: Identifier, beside: tuple[Identifier, ...]) -> tuple[Identifier, ...]:
    """Fill in what was left out with what PID's local identifiers have there."""
    if written.national or (written.authority and written.type):
        return ()
    kinds = dict.fromkeys(
        (one.authority, one.type)
        for one in beside
        if not one.national
        and written.authority in {"", one.authority}
        and written.type in {"", one.type}
        and (one.authority, one.type) != (written.authority, written.type)
    )
    return tuple(Identifier(authority, kind, written.value, written.organisation) for authority, kind in kinds)

"""What one arrival comes to, before it has an answer. Pure values."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location
from hl7_listener.options import ListenerOptions
from patient_records.effects import Act
from patient_records.reconcile import Outcome
from patient_records.update import PatientUpdate

VERIFIED: Final = "01"
"""NHS number status: number present and verified (NHS data dictionary, NHS NUMBER STATUS INDICATOR CODE)."""

AMBIGUOUS: Final = "ambiguous identifiers"
"""Why a message is held whose identifiers are those of several people."""

NOBODY_KNOWN: Final = "nobody is known by these identifiers"
"""Why a message is ignored that speaks of a person whom we do not have, and makes nobody."""


class Done(Struct, frozen=True):
    """One thing that is done to a person, and who else has a part in it (see :class:`patient_records.effects.Act`)."""

    record_id: int
    act: Act
    other: int | None = None


class Decision(Struct, frozen=True):
    """What one arrival comes to: the record it ended in, if it is one; what it changes there; what it does to others.

    ``code`` is AA, AE or AR, None for no answer; ``waits`` says that a person should look at it.
    """

    outcome: Outcome
    code: AckCode | None
    reason: str = ""
    record_id: int | None = None
    changes: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    waits: bool = False
    done: tuple[Done, ...] = ()


def held(listener: ListenerOptions, reason: str, findings: tuple[str, ...]) -> Decision:
    """Apply nothing of it and have a person look; answered as the listener says (an AE stops some engines' feed)."""
    return Decision(Outcome.HELD, AckCode(listener.held), reason, findings=findings, waits=True)


def ignored(reason: str, findings: tuple[str, ...] = ()) -> Decision:
    """Kept, and nothing to apply."""
    return Decision(Outcome.IGNORED, AckCode.AA, reason, findings=findings)


def lacking(field: str, findings: tuple[str, ...]) -> Decision:
    """Refuse a message that lacks a field (as PID-5) without which nobody can be made."""
    segment, _, number = field.partition("-")
    fault = Fault(FaultCode.REQUIRED_FIELD_MISSING, Location(segment, 1, int(number)))
    reason = f"required field missing: {field}"
    return Decision(Outcome.REJECTED, AckCode.AE, reason, findings=findings, faults=(fault,), waits=True)


def unverified(listener: ListenerOptions, update: PatientUpdate) -> Decision | None:
    """Hold what the listener takes for verified NHS numbers alone (``verify_status``) and is not one."""
    if listener.verify_status and update.number_status != VERIFIED:
        return held(listener, "NHS number status is not 01", update.findings)
    return None

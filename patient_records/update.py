"""What one message says of one person: the value between a sender's ER7 and our record.

Every field has three readings (SPEC 3.5; HL7 2.5.1 chapter 2.5.3): omitted or empty leaves what is stored
(:data:`OMITTED`), ``""`` erases it (:data:`ERASED`), anything else sets it. How a sender spells a thing ends here:
below this line there are only our own kinds, dates and contact points.
"""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias, TypeVar

from msgspec import Struct

from patient_records.model import Address, BirthDate, ContactPoint, Identifier, Masked, PersonName


class Silence(Enum):
    """What a message says of a field that it gives no value."""

    OMITTED = "omitted"
    ERASED = "erased"


OMITTED = Silence.OMITTED
ERASED = Silence.ERASED

T = TypeVar("T")
Said: TypeAlias = T | Silence
"""A value, or one of the two ways of giving none."""


class DeathNews(Masked, Struct, frozen=True):
    """What PID-29 and PID-30 say: ``dead`` True or False (a revocation, from ``N`` or ``""``); ``on`` as sent."""

    dead: bool
    on: str = ""


class PatientUpdate(Masked, Struct, frozen=True):
    """One person message, read and put into our own terms.

    ``event`` is the trigger event (MSH-9.2), ``event_at`` the instant of the event (EVN-2, else MSH-7, else receipt;
    microseconds since 1970, UTC). ``sender`` is MSH-3 and MSH-4, ``organisation`` the listener's. ``identifiers`` are
    the usable ones; ``prior`` are such as find the person from now on and are not current ones (MRG of a merge or of a
    changed identifier). ``findings`` are codes of what could not be used (code and place, never content).
    ``number_status`` is the NHS number status code (``NH{status:01}`` or PID-32), empty when not sent.
    """

    event: str
    event_at: int
    sender: str
    organisation: str
    identifiers: tuple[Identifier, ...]
    prior: tuple[Identifier, ...] = ()
    names: Said[tuple[PersonName, ...]] = OMITTED
    birth: Said[BirthDate] = OMITTED
    sex: Said[str] = OMITTED
    addresses: Said[tuple[Address, ...]] = OMITTED
    home: Said[tuple[ContactPoint, ...]] = OMITTED
    work: Said[tuple[ContactPoint, ...]] = OMITTED
    language: Said[str] = OMITTED
    death: DeathNews | None = None
    publicity: Said[str] = OMITTED
    protection: Said[str] = OMITTED
    vip: Said[str] = OMITTED
    number_status: str = ""
    findings: tuple[str, ...] = ()

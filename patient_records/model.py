"""What we know of one person.

Two halves, for two kinds of keeping (SPEC 4):

* :class:`Demographics` is everything that says who somebody is. It is only ever stored sealed under the record key.
* :class:`Standing` is what queries need and what tells nobody who somebody is: states, and when they came about.

Values here are immutable; a change is a new value, made by :mod:`patient_records.reconcile`. Their ``repr`` shows no
content, so that no log line, traceback or debugger dump can carry a patient.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from msgspec import Struct

NATIONAL: Final = frozenset({("NHS", "NH")})
"""Kinds of identifier (authority, type) that all organisations of a database share (SPEC 3.5, organisations)."""

MOBILE: Final = "mobile"
LANDLINE: Final = "landline"
EMAIL: Final = "email"


class Masked:
    """Mixin for values that hold a patient or a secret: ``repr`` gives the type's name and nothing else."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Name the type, never its content."""
        return f"<{type(self).__name__} ***>"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, object]]:
        """Keep pretty-printers from walking the fields."""
        return []


class Identifier(Masked, Struct, frozen=True, order=True, omit_defaults=True):
    """One number that finds a person.

    ``authority`` and ``type`` (CX.4.1, CX.5; upper case) name its kind, ``value`` (CX.1) is text without blanks.
    ``organisation`` is the code of the organisation whose local number it is, empty for national ones.
    An NHS number is always ``("NHS", "NH", ten digits)``, whatever the sender's spelling of it.
    """

    authority: str
    type: str
    value: str
    organisation: str = ""

    @property
    def kind(self) -> tuple[str, str, str]:
        """Organisation, authority and type: a record has at most one current value of each kind."""
        return (self.organisation, self.authority, self.type)

    @property
    def national(self) -> bool:
        """Whether all organisations of a database share this kind."""
        return (self.authority, self.type) in NATIONAL


class PersonName(Masked, Struct, frozen=True, omit_defaults=True):
    """One name (XPN, HL7 2.5.1 chapter 2A.88): parts as received, unescaped, outer blanks removed."""

    family: str = ""
    given: str = ""
    middle: str = ""
    suffix: str = ""
    prefix: str = ""
    use: str = ""


class Address(Masked, Struct, frozen=True, omit_defaults=True):
    """One postal address (XAD, chapter 2A.86). ``lines`` are XAD.1 and XAD.2 without empty ones."""

    lines: tuple[str, ...] = ()
    city: str = ""
    county: str = ""
    postcode: str = ""
    country: str = ""
    use: str = ""


class ContactPoint(Masked, Struct, frozen=True, omit_defaults=True):
    """A number or address to write to: ``kind`` is mobile, landline or email; ``value`` E.164 or an email address."""

    kind: str
    value: str
    use: str = ""


class BirthDate(Masked, Struct, frozen=True):
    """A date of birth with the precision it was sent in: ``digits`` is YYYY, YYYYMM or YYYYMMDD."""

    digits: str

    @property
    def full(self) -> date | None:
        """The day, when it is a full and real one; only that can answer the challenge (SPEC 3.5)."""
        if len(self.digits) != 8:  # noqa: PLR2004 (YYYYMMDD)
            return None
        try:
            return date(int(self.digits[:4]), int(self.digits[4:6]), int(self.digits[6:]))
        except ValueError:
            return None


class DeathReport(Masked, Struct, frozen=True, omit_defaults=True):
    """One sender's word that a person died: ``on`` as sent (PID-29.1, may be empty), ``at`` the event's instant.

    ``organisation`` is the code of the sender's, empty where that is the record's own: two hospitals may call their
    systems alike.
    """

    sender: str
    at: int
    on: str = ""
    organisation: str = ""


class Death(Masked, Struct, frozen=True):
    """That a person died, by the latest report of each sender that says so.

    Only the sender that reported a death can take its report back (SPEC 3.5), so each report is kept: when a second
    sender has reported it too, the first one's correction alone brings nobody back to life.
    """

    reports: tuple[DeathReport, ...]


class Demographics(Masked, Struct, frozen=True, omit_defaults=True):
    """Who somebody is; stored sealed under the record key and nowhere else.

    ``identifiers`` are current, one a kind; ``aliases`` are values once replaced or merged that still find the person.
    ``home`` and ``work`` are PID-13 and PID-14, each replaced as a whole. ``publicity``, ``protection`` and ``vip`` are
    PD1-11, PD1-12 and PV1-16. ``last_event_at`` is the newest event applied, ``ended_at`` the event that merged or
    deleted the person, 0 if there was none (both microseconds since 1970, UTC).
    """

    identifiers: tuple[Identifier, ...] = ()
    aliases: tuple[Identifier, ...] = ()
    names: tuple[PersonName, ...] = ()
    birth: BirthDate | None = None
    sex: str = ""
    addresses: tuple[Address, ...] = ()
    home: tuple[ContactPoint, ...] = ()
    work: tuple[ContactPoint, ...] = ()
    language: str = ""
    death: Death | None = None
    publicity: str = ""
    protection: str = ""
    vip: str = ""
    sender: str = ""
    last_event_at: int = 0
    ended_at: int = 0

    @property
    def name(self) -> PersonName | None:
        """The name to address the person by: the legal one (use L) if there is one, else the first."""
        for name in self.names:
            if name.use == "L":
                return name
        return self.names[0] if self.names else None

    def contacts(self, kind: str) -> tuple[ContactPoint, ...]:
        """All contact points of that kind, home before work, without repeats."""
        return tuple(dict.fromkeys(point for point in self.home + self.work if point.kind == kind))

    @property
    def contact_points(self) -> tuple[ContactPoint, ...]:
        """Every contact point, home before work, without repeats of kind and value."""
        return tuple({(point.kind, point.value): point for point in self.home + self.work}.values())


class Standing(Struct, frozen=True):
    """The states of a record that queries need, in clear; nothing here says who it is.

    ``merged_into`` is the survivor's record id. ``hold`` and ``exclusion`` are reasons given by staff, a rule or the
    feed; ``opted_out_at`` is the patient's own wish. Times are UTC.
    """

    registered_at: datetime | None = None
    deleted_at: datetime | None = None
    merged_into: int | None = None
    hold: str | None = None
    exclusion: str | None = None
    opted_out_at: datetime | None = None


class PatientRecord(Struct, frozen=True):
    """One person's record: ``id`` is internal, ``public_id`` opaque and for callers, ``version`` counts its changes.

    ``organisation`` is the code of the organisation that made it: only that one invites and gets tokens.
    """

    id: int
    public_id: str
    organisation: str
    version: int
    demographics: Demographics
    standing: Standing

    def __repr__(self) -> str:
        """Give ids and standing; the demographics mask themselves."""
        return f"<PatientRecord {self.id} v{self.version} {self.organisation}>"

"""What PID, and PD1 and PV1 beside it, say of a person: HL7 fields in, our own terms out (SPEC 3.5, fields). Pure.

What cannot be used on the way (an impossible date, a number without its check digit) is a *finding*, a code with its
place, and never a reason to lose the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from hl7_listener.message import NULL, Message, Segment
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import (
    DEATH_DATE_MEANS_NOTHING,
    NULL_SAYS_NOTHING,
    ReadIdentifier,
    SenderProfile,
    read_identifier,
)
from hl7_listener.telecom import MOST_REPETITIONS, contact_points
from hl7_listener.timestamps import instant_of
from patient_records.model import Address, BirthDate, ContactPoint, Identifier, PersonName
from patient_records.update import ERASED, OMITTED, DeathNews, PatientUpdate, Said, Silence

MOST_IDENTIFIERS: Final = 50
"""Repetitions of PID-3 (or MRG-1) that are looked at."""

_MOST_NAMES: Final = 10
_MOST_ADDRESSES: Final = 10
_LONGEST_TEXT: Final = 500
_LONGEST_RAW: Final = 1000
"""Characters of one text, as received, that are unescaped: those :data:`_LONGEST_TEXT` that are kept, each escaped."""
_LONGEST_KIND: Final = 200
_WHOLE_DATE: Final = 8
_YEARS_OF_DEATH: Final = range(1850, 2200)
"""What lies outside is filling: 0001, 9999."""
_AT_WORK: Final = "WPN"
_DEAD: Final = frozenset({"Y", "YES", "1"})

Points: TypeAlias = Said[tuple[ContactPoint, ...]]

Beside: TypeAlias = Callable[[str], Segment | None]
"""Gives the segment of that id that belongs to the person: the message's first, or that of its PATIENT group."""


class Reading(Struct, frozen=True):
    """With whose eyes a message is read, and when its event happened (microseconds)."""

    listener: ListenerOptions
    profile: SenderProfile
    event_at: int


def person_update(
    message: Message,
    pid: Segment,
    reading: Reading,
    findings: list[str],
    *,
    beside: Beside | None = None,
    by: Sequence[int] = (3, 2, 4),
) -> PatientUpdate | None:
    """Read a person; None where no field has a usable identifier.

    ``by`` are the fields of PID that are looked through for identifiers: PID-3, else PID-2, else PID-4 (both withdrawn
    in 2.7, both still sent). ``findings`` are those made so far.
    """
    found, status = identifiers(message, pid, by, reading, findings)
    if not found:
        return None
    header, listener = message.header, reading.listener
    look = beside or message.segment
    pd1 = look("PD1")
    home = _telecom(message, pid, 13, listener.region, findings)
    work = _telecom(message, pid, 14, listener.region, findings)
    if pid.field(40):
        home, work = _with_newer(home, work, _telecom(message, pid, 40, listener.region, findings))
    update = PatientUpdate(
        event=header.trigger,
        event_at=reading.event_at,
        sender=f"{header.sending_application}/{header.sending_facility}",
        organisation=listener.organisation,
        identifiers=found,
        names=_names(message, pid),
        birth=_birth(pid, findings),
        sex=_said(pid, 8),
        addresses=_addresses(message, pid),
        home=home,
        work=work,
        language=_said(pid, 15),
        death=_death(pid, listener.timezone, findings, reading.profile.quirks),
        publicity=_flag(pd1, 11),
        protection=_flag(pd1, 12),
        vip=_flag(look("PV1"), 16),
        number_status=status or text_of(pid, 32),
        findings=tuple(dict.fromkeys(findings)),
    )
    return _without_nulls(update) if NULL_SAYS_NOTHING in reading.profile.quirks else update


def _without_nulls(update: PatientUpdate) -> PatientUpdate:
    """Take every erasure for an omission."""
    erased = [name for name in update.__struct_fields__ if getattr(update, name) is ERASED]
    return replace(update, **dict.fromkeys(erased, OMITTED))


def identifiers(
    message: Message, segment: Segment, fields: Sequence[int], reading: Reading, findings: list[str]
) -> tuple[tuple[Identifier, ...], str]:
    """Usable identifiers of the first of these fields that has any, and the NHS number status that they carry."""
    profile, organisation = reading.profile, reading.listener.organisation
    for field in fields:
        read = [_cx(message, text, profile, organisation) for text in segment.repetitions(field, MOST_IDENTIFIERS)]
        usable = tuple(dict.fromkeys(one.identifier for one in read if one and one.identifier))
        if any(one and one.identifier is None and not one.ignored for one in read):
            findings.append(f"identifier_unusable:{segment.id}-{field}")
        if segment.repetition_count(field) > MOST_IDENTIFIERS:
            findings.append(f"too_many_repetitions:{segment.id}-{field}")
        if usable:
            return usable, next((one.status for one in read if one and one.status), "")
    return (), ""


def _cx(message: Message, text: str, profile: SenderProfile, organisation: str) -> ReadIdentifier | None:
    """One CX (chapter 2A.14): value, assigning authority (its name, else its universal id) and type; None if empty."""
    parts = message.components(text)
    if len(parts[0]) > _LONGEST_TEXT:
        return None
    value = message.unescape(parts[0]).strip()
    if not value or value == NULL:
        return None
    if any(len(part) > _LONGEST_KIND for part in parts[3:5]):
        return ReadIdentifier(None)
    authority = ""
    if len(parts) > 3 and parts[3]:  # noqa: PLR2004 (CX.4)
        pieces = message.subcomponents(parts[3])
        authority = message.unescape(pieces[0] or (pieces[1] if len(pieces) > 1 else "")).strip()
    kind = message.unescape(parts[4]).strip() if len(parts) > 4 else ""  # noqa: PLR2004 (CX.5)
    return read_identifier(value, "" if authority == NULL else authority, kind, profile, organisation)


def _names(message: Message, pid: Segment) -> Said[tuple[PersonName, ...]]:
    if pid.field(5) in {"", NULL}:
        return ERASED if pid.field(5) else OMITTED
    names = [_xpn(message, text) for text in pid.repetitions(5, _MOST_NAMES)]
    return tuple(name for name in names if name.family or name.given) or OMITTED


def _xpn(message: Message, text: str) -> PersonName:
    """One XPN: family (its first subcomponent, FN.1), given, middle, suffix, prefix, and the use code of XPN.7."""
    parts = message.components(text)
    parts += [""] * (7 - len(parts))
    parts[0] = message.subcomponents(parts[0])[0]
    family, given, middle, suffix, prefix, _, use = (_clean(message, part) for part in parts[:7])
    return PersonName(family, given, middle, suffix, prefix, use.upper())


def _addresses(message: Message, pid: Segment) -> Said[tuple[Address, ...]]:
    if pid.field(11) in {"", NULL}:
        return ERASED if pid.field(11) else OMITTED
    addresses = [_xad(message, text) for text in pid.repetitions(11, _MOST_ADDRESSES)]
    return tuple(address for address in addresses if address != Address(use=address.use)) or OMITTED


def _xad(message: Message, text: str) -> Address:
    """One XAD: street (SAD.1), other designation, city, county or state, postcode, country, and the type of XAD.7."""
    parts = message.components(text)
    parts += [""] * (7 - len(parts))
    parts[0] = message.subcomponents(parts[0])[0]
    street, other, city, county, postcode, country, use = (_clean(message, part) for part in parts[:7])
    return Address(tuple(line for line in (street, other) if line), city, county, postcode, country, use.upper())


def _clean(message: Message, text: str) -> str:
    if not text:
        return text
    clean = message.unescape(text, _LONGEST_RAW).strip()[:_LONGEST_TEXT]
    return "" if clean == NULL else clean


def _birth(pid: Segment, findings: list[str]) -> Said[BirthDate]:
    """PID-7 with the precision it has. An impossible date is no date: a finding, and what is stored stays."""
    text = text_of(pid, 7)
    if not text:
        return OMITTED
    if text == NULL:
        return ERASED
    digits = text.replace("-", "").replace("/", "")[:_WHOLE_DATE]
    if not digits.isascii() or not digits.isdigit() or len(digits) not in {4, 6, _WHOLE_DATE}:
        findings.append("date_unusable:PID-7")
        return OMITTED
    birth = BirthDate(digits)
    if len(digits) == _WHOLE_DATE and birth.full is None:
        findings.append("date_impossible:PID-7")
        return OMITTED
    return birth


def _death(pid: Segment, zone: ZoneInfo, findings: list[str], quirks: frozenset[str]) -> DeathNews | None:
    """PID-30 and PID-29 (SPEC 3.5): ``Y`` or a date is death; ``N`` or ``""`` with no date takes a report back.

    A date is a real one, to the year or better: filling (``0``, ``00000000``, ``99991231``) makes nobody dead.
    """
    indicator, on = text_of(pid, 30).upper(), text_of(pid, 29)
    if quirks:
        on = "" if DEATH_DATE_MEANS_NOTHING in quirks and indicator not in _DEAD else on
        if NULL_SAYS_NOTHING in quirks:
            indicator, on = ("" if text == NULL else text for text in (indicator, on))
    at = instant_of(on, zone)
    dated = at is not None and at.year in _YEARS_OF_DEATH
    if on and on != NULL and not dated:
        findings.append("date_unusable:PID-29")
    if indicator in _DEAD or dated:
        return DeathNews(dead=True, on=on if dated else "")
    if indicator in {"N", "NO", "0", NULL} or on == NULL:
        return DeathNews(dead=False)
    return None


def _telecom(
    message: Message, pid: Segment, field: int, region: str, findings: list[str]
) -> Said[tuple[ContactPoint, ...]]:
    """PID-13 or PID-14. A slot with codes and no number, or a remark, says nothing: what is stored stays."""
    raw = pid.field(field)
    if raw in {"", NULL}:
        return ERASED if raw else OMITTED
    repetitions = [message.components(text) for text in pid.repetitions(field, MOST_REPETITIONS + 1)]
    contacts = contact_points(repetitions, region, message.unescape)
    if contacts.unusable:
        findings.append(f"contact_unusable:PID-{field}")
    if contacts.too_many:
        findings.append(f"too_many_repetitions:PID-{field}")
    return contacts.points or (ERASED if contacts.erased else OMITTED)


def _with_newer(home: Points, work: Points, newer: Points) -> tuple[Points, Points]:
    """PID-40 (2.9), which takes the place of PID-13 and 14 (withdrawn in 2.7): its work numbers, and all others.

    A sender that fills both for the sake of older receivers says the same twice, or more in one of them.
    """
    if isinstance(newer, Silence):
        return (newer if home is OMITTED else home), (newer if work is OMITTED else work)
    at_work = tuple(point for point in newer if point.use.upper() == _AT_WORK)
    elsewhere = tuple(point for point in newer if point.use.upper() != _AT_WORK)
    return _joined(home, elsewhere), _joined(work, at_work)


def _joined(older: Points, newer: tuple[ContactPoint, ...]) -> Points:
    if isinstance(older, Silence):
        return newer or older
    known = {(point.kind, point.value) for point in older}
    return older + tuple(point for point in newer if (point.kind, point.value) not in known)


def text_of(segment: Segment, field: int) -> str:
    """Give a coded field or a date; the beginning of it as it came, where it is too long to be either."""
    raw = segment.field(field)
    return segment.text(field) if len(raw) <= _LONGEST_RAW else raw[:_LONGEST_TEXT]


def _said(segment: Segment, field: int) -> Said[str]:
    text = text_of(segment, field)[:_LONGEST_TEXT]
    if text == NULL:
        return ERASED
    return text or OMITTED


def _flag(segment: Segment | None, field: int) -> Said[str]:
    said = OMITTED if segment is None else _said(segment, field)
    return said.upper() if isinstance(said, str) else said

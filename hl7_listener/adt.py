"""What a message means: an update of a person, or why there is nothing to apply (SPEC 3.3, 3.5). Pure.

:func:`interpret` asks three questions in turn. May this message be taken at all (type, version, processing id)? Does
its event change a person? And if so, what does it say of whom? What cannot be used on the way (an impossible date, a
number without its check digit) is a *finding*, a code with its place, and never a reason to lose the rest.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location
from hl7_listener.arrival import Ignored, Meaning, Refused, Unanswered
from hl7_listener.message import NULL, Message, Segment
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import ReadIdentifier, SenderProfile, read_identifier
from hl7_listener.telecom import MOST_REPETITIONS, contact_points
from hl7_listener.timestamps import Period, instant_of, period_of
from patient_records.instants import to_micros
from patient_records.model import Address, BirthDate, ContactPoint, Identifier, PersonName
from patient_records.update import ERASED, OMITTED, DeathNews, PatientUpdate, Said

UPSERTS: Final = frozenset({"A28", "A31", "A05", "A04", "A01", "A08"})
"""Events that make or update the person."""

_TAKEN: Final = frozenset({"ADT", "ORU", "SIU", "MDM"})
_CLOCK_SKEW: Final = timedelta(days=1)
_MOST_NAMES: Final = 10
_MOST_ADDRESSES: Final = 10
_MOST_IDENTIFIERS: Final = 50
_LONGEST_TEXT: Final = 500
_LONGEST_RAW: Final = 1000
"""Characters of one text, as received, that are unescaped: those :data:`_LONGEST_TEXT` that are kept, each escaped."""
_LONGEST_KIND: Final = 200
_WHOLE_DATE: Final = 8
_YEARS_OF_DEATH: Final = range(1850, 2200)
"""What lies outside is filling: 0001, 9999."""


def interpret(message: Message, listener: ListenerOptions, profile: SenderProfile, received_at: datetime) -> Meaning:
    """Say what a message means to this listener."""
    header = message.header
    if header.message_code == "ACK":
        return Unanswered("an acknowledgment is not answered", waits=False)
    refusal = _refusal(message, listener)
    if refusal is not None:
        return refusal
    if header.message_code != "ADT":
        return Ignored(f"{header.message_code} is stored, not applied")
    if header.trigger not in UPSERTS:
        return Ignored("this event is stored, not applied")
    pid = message.segment("PID")
    if pid is None:
        return _missing_segment("PID")
    return _update(message, pid, listener, profile, received_at)


def _refusal(message: Message, listener: ListenerOptions) -> Refused | None:
    header = message.header
    if not header.message_code:
        return _missing_field("MSH", 9)
    if header.version and not (header.version == "2" or header.version.startswith("2.")):
        fault = Fault(FaultCode.UNSUPPORTED_VERSION_ID, Location("MSH", 1, 12))
        return Refused(AckCode.AR, "version is not 2.x", (fault,))
    if (header.processing_id.upper() or "P") not in listener.processing_ids:
        fault = Fault(FaultCode.UNSUPPORTED_PROCESSING_ID, Location("MSH", 1, 11))
        return Refused(AckCode.AR, "processing id is not taken here", (fault,))
    if header.message_code not in _TAKEN:
        fault = Fault(FaultCode.UNSUPPORTED_MESSAGE_TYPE, Location("MSH", 1, 9))
        return Refused(AckCode.AR, "message type is not taken here", (fault,))
    if header.message_code == "ADT" and not header.trigger:
        return _missing_field("MSH", 9, component=2)
    return None


def _missing_field(segment: str, field: int, component: int = 0) -> Refused:
    location = Location(segment, 1, field, 1 if component else 0, component)
    name = f"{segment}-{field}" + (f".{component}" if component else "")
    fault = Fault(FaultCode.REQUIRED_FIELD_MISSING, location)
    return Refused(AckCode.AE, f"required field missing: {name}", (fault,))


def _missing_segment(segment: str) -> Refused:
    fault = Fault(FaultCode.SEGMENT_SEQUENCE_ERROR, Location(segment, 1))
    return Refused(AckCode.AE, f"required segment missing: {segment}", (fault,))


def _update(
    message: Message, pid: Segment, listener: ListenerOptions, profile: SenderProfile, received_at: datetime
) -> Meaning:
    findings: list[str] = []
    identifiers, status = _identifiers(message, pid, profile, listener.organisation, findings)
    if not identifiers:
        return _missing_field("PID", 3)
    header = message.header
    return PatientUpdate(
        event=header.trigger,
        event_at=_event_at(message, listener, received_at, findings),
        sender=f"{header.sending_application}/{header.sending_facility}",
        organisation=listener.organisation,
        identifiers=identifiers,
        names=_names(message, pid),
        birth=_birth(pid, findings),
        sex=_said(pid, 8),
        addresses=_addresses(message, pid),
        home=_telecom(message, pid, 13, listener.region, findings),
        work=_telecom(message, pid, 14, listener.region, findings),
        language=_said(pid, 15),
        death=_death(pid, listener.timezone, findings),
        publicity=_flag(message, "PD1", 11),
        protection=_flag(message, "PD1", 12),
        vip=_flag(message, "PV1", 16),
        number_status=status or _text(pid, 32),
        findings=tuple(dict.fromkeys(findings)),
    )


def _identifiers(
    message: Message, pid: Segment, profile: SenderProfile, organisation: str, findings: list[str]
) -> tuple[tuple[Identifier, ...], str]:
    """Usable identifiers of PID-3, else PID-2, else PID-4 (both withdrawn in 2.7, both still sent), and the status."""
    for field in (3, 2, 4):
        read = [_cx(message, text, profile, organisation) for text in pid.repetitions(field, _MOST_IDENTIFIERS)]
        usable = tuple(dict.fromkeys(one.identifier for one in read if one and one.identifier))
        if any(one and one.identifier is None for one in read):
            findings.append(f"identifier_unusable:PID-{field}")
        if pid.repetition_count(field) > _MOST_IDENTIFIERS:
            findings.append(f"too_many_repetitions:PID-{field}")
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
    text = _text(pid, 7)
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


def _death(pid: Segment, zone: ZoneInfo, findings: list[str]) -> DeathNews | None:
    """PID-30 and PID-29 (SPEC 3.5): ``Y`` or a date is death; ``N`` or ``""`` with no date takes a report back.

    A date is a real one, to the year or better: filling (``0``, ``00000000``, ``99991231``) makes nobody dead.
    """
    indicator, on = _text(pid, 30).upper(), _text(pid, 29)
    at = instant_of(on, zone)
    dated = at is not None and at.year in _YEARS_OF_DEATH
    if on and on != NULL and not dated:
        findings.append("date_unusable:PID-29")
    if indicator in {"Y", "YES", "1"} or dated:
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


def _text(segment: Segment, field: int) -> str:
    """Give a coded field or a date; the beginning of it as it came, where it is too long to be either."""
    raw = segment.field(field)
    return segment.text(field) if len(raw) <= _LONGEST_RAW else raw[:_LONGEST_TEXT]


def _said(segment: Segment, field: int) -> Said[str]:
    text = _text(segment, field)[:_LONGEST_TEXT]
    if text == NULL:
        return ERASED
    return text or OMITTED


def _flag(message: Message, segment_id: str, field: int) -> Said[str]:
    segment = message.segment(segment_id)
    said = OMITTED if segment is None else _said(segment, field)
    return said.upper() if isinstance(said, str) else said


def _event_at(message: Message, listener: ListenerOptions, received_at: datetime, findings: list[str]) -> int:
    """When the event happened: EVN-2, else MSH-7, else the time of receipt (SPEC 3.5, order).

    A time to the day or minute means some time in it. It counts as its end, or an event of today would look older than
    one of this morning; but not as later than the message was made (MSH-7) or received, for by then it had happened.

    No event is later than a day behind its receipt, the day being honest confusion about zones: else a sender's clock
    that runs ahead once would make all that follows look old. And it is the receipt that is added to, not the receipt
    itself, so that our own clock, when it is the one that is wrong, takes each event for newer than the last.
    """
    zone, made_at = listener.timezone, message.header.timestamp
    event = message.segment("EVN")
    stated = _text(event, 2) if event else ""
    period, place = period_of(stated, zone), "EVN-2"
    if period is None:
        if stated and stated != NULL:
            findings.append("date_unusable:EVN-2")
        period, place = period_of(made_at, zone), "MSH-7"
    if period is None:
        return to_micros(received_at)
    latest = received_at + _CLOCK_SKEW
    if period.start > latest:
        findings.append(f"event_in_future:{place}")
        return to_micros(latest)
    return to_micros(period.start if period.start == period.end else _settled(period, made_at, zone, received_at))


def _settled(period: Period, made_at: str, zone: ZoneInfo, received_at: datetime) -> datetime:
    """Give the last instant of a period at which the event can have happened."""
    made = period_of(made_at, zone)
    ends = (period.end, received_at, period.end if made is None else made.end)
    return max(period.start, min(ends))

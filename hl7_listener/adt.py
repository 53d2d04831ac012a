"""What a message means: what it says of whom, or why there is nothing to apply (SPEC 3.3, 3.5). Pure.

:func:`interpret` asks three questions in turn. May this message be taken at all (type, version, processing id)? Does
its event change a person, and how? And if so, what does it say of whom (:mod:`hl7_listener.person_fields`)?
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location
from hl7_listener.arrival import Ignored, Meaning, Refused, Unanswered
from hl7_listener.message import NULL, Message, Segment
from hl7_listener.options import ListenerOptions
from hl7_listener.person_event import (
    ChangeIdentifiers,
    DeletePerson,
    Group,
    LinkPeople,
    MentionPerson,
    MergePeople,
)
from hl7_listener.person_fields import Reading, person_update, text_of
from hl7_listener.prior_identifiers import priors
from hl7_listener.sender_profile import SenderProfile
from hl7_listener.timestamps import Period, period_of
from patient_records.instants import to_micros
from patient_records.update import PatientUpdate

UPSERTS: Final = frozenset({"A28", "A31", "A05", "A04", "A01", "A08"})
"""Events that make or update the person."""

MERGES: Final = frozenset({"A40", "A34", "A36", "A18", "A30", "A39"})
"""Events that say that two people are one."""

RENAMES: Final = frozenset({"A47", "A46"})
"""Events that give a person other identifiers."""

BY_PATIENT_ID: Final = frozenset({"A39", "A46"})
"""Merges and changes that name people by PID-2 and MRG-4 (HL7 2.3.1 chapter 3.3.39 and 46); where a sender leaves one
empty, or they do not tell who is meant, PID-3 and MRG-1 count, as for the others (two_sides.py)."""

LINKS: Final = frozenset({"A24", "A37"})
"""Events that say that two records have to do with each other, or no longer."""

DELETE: Final = "A29"
"""The event that deletes a person."""

ELSEWHERE: Final = frozenset({"A35", "A41", "A42", "A43", "A44", "A45", "A49", "A50", "A51"})
"""Merges, moves and changes of accounts and visits, which no record has: kept, and nothing else."""

_TAKEN: Final = frozenset({"ADT", "ORU", "SIU", "MDM"})
_CLOCK_SKEW: Final = timedelta(days=1)
_MOST_GROUPS: Final = 100
"""People of one message: an interface engine's batch of merges has a dozen. One with more is refused: it is applied
whole or not at all."""


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
    if profile.events and header.trigger not in profile.events:
        return Ignored("this event is not taken from this sender")
    if header.trigger in ELSEWHERE:
        return Ignored("accounts and visits are stored, not applied")
    return _person(message, listener, profile, received_at)


def _person(message: Message, listener: ListenerOptions, profile: SenderProfile, received_at: datetime) -> Meaning:
    findings: list[str] = []
    trigger = message.header.trigger
    reading = Reading(listener, profile, _event_at(message, listener, received_at, findings))
    if trigger in MERGES or trigger in RENAMES:
        return _two_people(message, reading, findings)
    if trigger in LINKS:
        return _link(message, reading, findings)
    update = _upsert(message, reading, findings)
    if trigger in UPSERTS:
        return update
    if trigger == DELETE:
        return DeletePerson(update) if isinstance(update, PatientUpdate) else update
    return MentionPerson(update) if isinstance(update, PatientUpdate) else Ignored("it names nobody")


def _upsert(message: Message, reading: Reading, findings: list[str]) -> PatientUpdate | Refused:
    pid = message.segment("PID")
    if pid is None:
        return _missing_segment("PID")
    return person_update(message, pid, reading, findings) or _nobody_named("PID", 3, findings)


def _two_people(message: Message, reading: Reading, findings: list[str]) -> Meaning:
    """A merge or a change of identifiers: groups of PID and MRG (A40 and A39 may have several, chapter 3.3.40)."""
    groups: list[Group] = []
    by_patient_id = message.header.trigger in BY_PATIENT_ID
    found = _patient_groups(message)
    if len(found) > _MOST_GROUPS:
        fault = Fault(FaultCode.SEGMENT_SEQUENCE_ERROR, Location("PID", _MOST_GROUPS + 1))
        return Refused(AckCode.AE, f"more than {_MOST_GROUPS} people in one message", (fault,))
    for segments in found:
        sequence = len(groups) + 1
        if "MRG" not in segments:
            return _missing_segment("MRG", sequence)
        group = _group(message, segments, reading, findings, sequence)
        if isinstance(group, Group) and by_patient_id:
            group = _by_patient_id(message, segments, reading, findings, group)
        if isinstance(group, Refused):
            return group
        groups.append(group)
    if not groups:
        return _missing_segment("PID")
    return MergePeople(tuple(groups)) if message.header.trigger in MERGES else ChangeIdentifiers(tuple(groups))


def _group(  # what is read, with whose eyes, and by which fields
    message: Message,
    segments: dict[str, Segment],
    reading: Reading,
    findings: Sequence[str],
    sequence: int,
    *,
    by: tuple[Sequence[int], Sequence[int]] = ((3, 2, 4), (1, 4, 2)),
) -> Group | Refused:
    """Read one PATIENT group by these fields of PID and MRG, the first of each that has any."""
    odd = list(findings)
    update = person_update(message, segments["PID"], reading, odd, beside=segments.get, by=by[0])
    if update is None:
        return _nobody_named("PID", by[0][0], odd, sequence)
    odd.clear()
    named = priors(message, segments["MRG"], reading, update, odd, fields=by[1])
    if not named:
        return _nobody_named("MRG", by[1][0], odd, sequence)
    return Group(replace(update, findings=(*update.findings, *odd)) if odd else update, named)


def _by_patient_id(
    message: Message, segments: dict[str, Segment], reading: Reading, findings: Sequence[str], lists: Group
) -> Group:
    """Read PID-2 and MRG-4, if both are there: one of them beside the other's list names two things of two kinds.

    ``lists`` is what PID-3 and MRG-1 say. Most senders fill all four, and most people are known by PID-3 alone.
    """
    found = _group(message, segments, reading, findings, 1, by=((2,), (4,)))
    if not isinstance(found, Group):
        return lists
    status = lists.update.number_status or found.update.number_status  # of the one person of this PID, wherever it is
    return replace(found, update=replace(found.update, number_status=status), otherwise=lists)


def _link(message: Message, reading: Reading, findings: list[str]) -> Meaning:
    """A24 and A37: two people, and whatever stands between them (chapter 3.3.24 and 37)."""
    people: list[PatientUpdate] = []
    for segments in _patient_groups(message):
        odd = list(findings)
        update = person_update(message, segments["PID"], reading, odd, beside=segments.get)
        if update is None:
            return _nobody_named("PID", 3, odd, len(people) + 1)
        people.append(update)
    if len(people) != 2:  # noqa: PLR2004 (two are linked)
        return _missing_segment("PID", len(people) + 1)
    return LinkPeople(people[0], people[1], linked=message.header.trigger == "A24")


def _patient_groups(message: Message) -> list[dict[str, Segment]]:
    """Cut a message into its people: each PID, and the first PD1, MRG and PV1 behind it.

    Further MRG are as many groups: some senders of A34 and A40 list several prior people behind one PID. Beyond the
    first one that is too many nothing is looked at.
    """
    groups: list[dict[str, Segment]] = []
    for segment in message.segments("PID", "PD1", "MRG", "PV1"):
        if segment.id == "PID":
            groups.append({"PID": segment})
        elif groups and segment.id == "MRG" and "MRG" in groups[-1]:
            groups.append({**groups[-1], "MRG": segment})
        elif groups:
            groups[-1].setdefault(segment.id, segment)
        if len(groups) > _MOST_GROUPS:
            break
    return groups


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


def _missing_field(segment: str, field: int, component: int = 0, sequence: int = 1) -> Refused:
    location = Location(segment, sequence, field, 1 if component else 0, component)
    name = f"{segment}-{field}" + (f".{component}" if component else "")
    fault = Fault(FaultCode.REQUIRED_FIELD_MISSING, location)
    return Refused(AckCode.AE, f"required field missing: {name}", (fault,))


def _nobody_named(segment: str, field: int, findings: list[str], sequence: int = 1) -> Refused:
    """Refuse for want of an identifier: one that stands there and cannot be used is not said to be missing."""
    odd = f"identifier_unusable:{segment}-"
    unusable = next((one.removeprefix(odd) for one in findings if one.startswith(odd)), "")
    if not unusable:
        return _missing_field(segment, field, sequence=sequence)
    fault = Fault(FaultCode.DATA_TYPE_ERROR, Location(segment, sequence, int(unusable)))
    return Refused(AckCode.AE, f"no usable identifier: {segment}-{unusable}", (fault,))


def _missing_segment(segment: str, sequence: int = 1) -> Refused:
    fault = Fault(FaultCode.SEGMENT_SEQUENCE_ERROR, Location(segment, sequence))
    return Refused(AckCode.AE, f"required segment missing: {segment}", (fault,))


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
    stated = text_of(event, 2) if event else ""
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

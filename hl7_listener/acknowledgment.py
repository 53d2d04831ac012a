r"""The answer to a message: its text, and which answers are due (SPEC 3.3; HL7 2.5.1 chapters 2.9 and 2.14).

The text is an f-string over the header of the message: an acknowledgment is sent for every message, and a builder
that knows all of HL7 costs forty times as much. What the sender may compare is repeated as received (MSH-11, MSH-12,
MSH-18, MSA-2), in the sender's delimiters and charset. Nothing from the body of the message can get in: where segment
terminators were lost on the way, MSH runs on into PID, and what stands in MSH-12 or MSH-18 then may be a patient's. So
these are repeated only where they are a version, a processing id, a charset.

Which answers are due. *Original mode* (MSH-15 and MSH-16 both empty or null; note at chapter 2.15.9.16): one
application acknowledgment, always. *Enhanced mode* (either is valued): MSH-15 asks for an accept acknowledgment (CA,
CE, CR: the message is in safe storage), MSH-16 for an application acknowledgment (AA, AE, AR: it was processed), each
always (AL), on error (ER), on success (SU) or never (NE; table 0155). The standard requires both fields in enhanced
mode and says nothing of a message that values only one; the other then asks for nothing (NE). A value outside table
0155 counts as none.

doorstep stores and processes in one transaction, so both levels are known at once, and one answer carries both. Which
failure belongs to which level then matters only where ``both`` are wanted:

* AR is accept level: message type, version, processing id, unparseable, too large (chapter 2.9.3.1 names the first
  three for CR). The application never saw the message, so after CR there is no application acknowledgment.
* AE is application level: the message is in safe storage (the quarantine) and its content is wrong. CA goes first,
  AE after it.

No answer may hide a failure from a sender that asked to hear of it: where the application's answer is not asked for,
the accept acknowledgment carries the verdict (CE), and where MSH-15 does not want to hear of a refusal but MSH-16
does, AR is sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Final

from msgspec import Struct

from hl7_listener.charset import codec_for
from hl7_listener.delimiters import Delimiters
from hl7_listener.escapes import escape
from hl7_listener.header import Header


class AckCode(StrEnum):
    """Table 0008: MSA-1."""

    AA = "AA"
    AE = "AE"
    AR = "AR"
    CA = "CA"
    CE = "CE"
    CR = "CR"


class FaultCode(StrEnum):
    """Table 0357: ERR-3."""

    SEGMENT_SEQUENCE_ERROR = "100"
    REQUIRED_FIELD_MISSING = "101"
    DATA_TYPE_ERROR = "102"
    TABLE_VALUE_NOT_FOUND = "103"
    UNSUPPORTED_MESSAGE_TYPE = "200"
    UNSUPPORTED_EVENT_CODE = "201"
    UNSUPPORTED_PROCESSING_ID = "202"
    UNSUPPORTED_VERSION_ID = "203"
    UNKNOWN_KEY_IDENTIFIER = "204"
    DUPLICATE_KEY_IDENTIFIER = "205"
    APPLICATION_RECORD_LOCKED = "206"
    APPLICATION_INTERNAL_ERROR = "207"

    @property
    def description(self) -> str:
        """The table's own words, such as ``Required field missing``."""
        return self.name.replace("_", " ").capitalize()


class Severity(StrEnum):
    """Table 0516: ERR-4."""

    ERROR = "E"
    WARNING = "W"
    INFORMATION = "I"


class Location(Struct, frozen=True):
    """Where a fault is (ERL): counted from 1; 0 says nothing about that level and those below."""

    segment: str = ""
    sequence: int = 0
    field: int = 0
    repetition: int = 0
    component: int = 0


NOWHERE: Final = Location()


class Fault(Struct, frozen=True):
    """One thing wrong with a message. ``text`` is for a person to read: our own words, never the sender's content."""

    code: FaultCode
    location: Location = NOWHERE
    text: str = ""
    severity: Severity = Severity.ERROR


def acknowledge(
    header: Header,
    code: AckCode,
    *,
    control_id: str,
    now: datetime,
    text: str = "",
    faults: Sequence[Fault] = (),
) -> bytes:
    """Write an acknowledgment (unframed) of the message with that header.

    ``control_id`` is ours and unique (MSH-10, of which the last 20 characters count: chapter 2.15.9.10). ``now`` must
    be aware, for MSH-7 carries its offset; ``text`` is MSA-3.
    Faults become ERR segments from version 2.5 on. Before that ERR is one field of another shape (chapter 2 of 2.3 to
    2.4: segment, sequence, field and code in one composite) which few receivers read and some refuse, so those
    versions are told in MSA-3 alone; so is a message whose version is unknown. Raises ValueError for a naive ``now``.
    """
    delimiters = header.delimiters
    f = delimiters.field
    level = _level(header.version[:_LONGEST_VERSION])
    answer = (
        f"MSH{f}{delimiters.encoding_characters}{f}{header.receiving_application}{f}{header.receiving_facility}"
        f"{f}{header.sending_application}{f}{header.sending_facility}{f}{timestamp(now)}{f}{f}"
        f"{_message_type(header, level)}{f}{control_id[-_LONGEST_CONTROL_ID:]}"
        f"{f}{_echo(header.processing_field, delimiters.component, _PROCESSING)}"
        f"{f}{_echo(header.version_field, delimiters.component, _VERSION)}"
    )
    if header.charset_field and _names_charsets(header.charset_field, delimiters.repetition):
        answer += f * 6 + header.charset_field
    rest = f"{f}{escape(text, delimiters)}\r" if text else "\r"
    if faults and level >= _ERR_AS_OF:
        rest += "".join([_err(fault, delimiters) for fault in faults])
    answer += f"\rMSA{f}{code.value}{f}"
    charset = header.charset
    if header.control_bytes:
        return answer.encode(charset, "replace") + header.control_bytes + rest.encode(charset, "replace")
    return f"{answer}{header.control_id}{rest}".encode(charset, "replace")


_STRUCTURE_AS_OF: Final = (2, 3, 1)  # MSH-9.3 is new in 2.3.1
_EVENT_AS_OF: Final = (2, 3)  # ACK^A28, before it plain ACK
_ERR_AS_OF: Final = (2, 5)  # ERR-2 to ERR-4 are new in 2.5
_UNKNOWN: Final = (2, 3, 1)  # what an empty or odd version is taken for: a structure, and no ERR


_LONGEST_ECHO: Final = 64  # what is longer is neither; nor must it stay in memory as the key of a cache
_LONGEST_CHARSETS: Final = 256
_LONGEST_VERSION: Final = 16
_LONGEST_CONTROL_ID: Final = 20  # MSH-10 of 2.5.1; ours is made of a number or of a time
_PROCESSING: Final = re.compile(r'(?:\w{0,3}|"")\Z')  # table 0103, what sites add to it, and a null
_VERSION: Final = re.compile(
    r'(?:v?\d{0,2}(?:\.\w{1,3}){0,3}|\w|"")\Z', re.IGNORECASE
)  # table 0104, and its misspellings


def _echo(field: str, component: str, kind: re.Pattern[str]) -> str:
    """Repeat a field as received, if its first component is of the kind that belongs there."""
    return _known_echo(field, component, kind) if len(field) <= _LONGEST_ECHO else ""


@lru_cache(maxsize=64)
def _known_echo(field: str, component: str, kind: re.Pattern[str]) -> str:
    return field if kind.match(field.partition(component)[0].strip()) else ""


def _names_charsets(field: str, repetition: str) -> bool:
    """Whether each repetition of MSH-18 is a charset that we know; the answer is written in one of those or in none."""
    return len(field) <= _LONGEST_CHARSETS and _all_known(field, repetition)


@lru_cache(maxsize=64)
def _all_known(field: str, repetition: str) -> bool:
    return all(not name.strip() or codec_for(name) is not None for name in field.split(repetition))


@lru_cache(maxsize=256)
def _level(version: str) -> tuple[int, ...]:
    numbers = version.split(".")
    if numbers[0] != "2" or not all(number.isascii() and number.isdigit() for number in numbers):
        return _UNKNOWN
    return tuple(map(int, numbers))


def _message_type(header: Header, level: tuple[int, ...]) -> str:
    trigger = header.trigger
    if not trigger or level < _EVENT_AS_OF:
        return "ACK"
    component = header.delimiters.component
    if level < _STRUCTURE_AS_OF:
        return f"ACK{component}{trigger}"
    return f"ACK{component}{trigger}{component}ACK"


@lru_cache(maxsize=16)  # all answers of a commit have the same
def timestamp(now: datetime) -> str:
    """Write YYYYMMDDHHMMSS+ZZZZ; from ISO text, which is four times as fast as strftime. Raises ValueError if naive."""
    iso = now.isoformat("T", "seconds")
    if len(iso) < 25:  # noqa: PLR2004 (2026-01-31T23:59:59 alone is 19: no offset)
        raise ValueError("now must be aware")
    return f"{iso[:4]}{iso[5:7]}{iso[8:10]}{iso[11:13]}{iso[14:16]}{iso[17:22]}{iso[23:25]}"


def _err(fault: Fault, delimiters: Delimiters) -> str:
    f, c = delimiters.field, delimiters.component
    place = fault.location
    levels = [place.segment, place.sequence, place.field, place.repetition, place.component]
    location = c.join(str(level or "") for level in levels).rstrip(c)
    coded = f"{fault.code.value}{c}{fault.code.description}{c}HL70357"
    words = f"{f * 4}{escape(fault.text, delimiters)}" if fault.text else ""
    return f"ERR{f}{f}{location}{f}{coded}{f}{fault.severity.value}{words}\r"


_SUCCESS: Final = frozenset({"AL", "SU"})
_FAILURE: Final = frozenset({"AL", "ER"})
_VALUES: Final = frozenset({"AL", "NE", "ER", "SU"})
_ACCEPT: Final = {AckCode.AA: AckCode.CA, AckCode.AE: AckCode.CE, AckCode.AR: AckCode.CR}


def due(header: Header, code: AckCode, *, always: bool = False, both: bool = False) -> tuple[AckCode, ...]:
    """Say which acknowledgments to send for a message with the verdict ``code`` (AA, AE or AR), in their order.

    ``both``: send two where two are asked for (``enhanced = "both"``); else the accept acknowledgment alone.
    ``always``: where MSH-15/16 ask for silence send one all the same (``always_acknowledge``), an accept
    acknowledgment if MSH-15 asks for any. An ACK is never answered, or two listeners would answer each other for ever.
    """
    if header.message_code == "ACK":
        return ()
    if not header.accept_ack and not header.application_ack:
        return (code,)
    accept, application = _condition(header.accept_ack), _condition(header.application_ack)
    if not accept and not application:
        return (code,)
    answers: tuple[AckCode, ...] = ()
    wanted = _SUCCESS if code is AckCode.AA else _FAILURE
    if both and code is not AckCode.AR and application in wanted:
        # the message is stored, so the accept level is a success even where its content is not
        answers = (AckCode.CA, code) if accept in _SUCCESS else (code,)
    elif accept in wanted:
        answers = (_ACCEPT[code],)
    elif application in wanted:
        answers = (code,)
    if always and not answers:
        return (_ACCEPT[code] if accept in {"AL", "ER", "SU"} else code,)
    return answers


def _condition(value: str) -> str:
    """Give a value of table 0155, or nothing for a null or an unknown one."""
    return value if value in _VALUES else ""

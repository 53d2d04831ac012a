"""The message header, MSH: who speaks, what about, and which answers are asked for (HL7 2.5.1 chapter 2.15.9).

It is read at once and whole, because everything needs it, the acknowledgment most of all. Fields that the answer must
repeat are kept as they came; the others are trimmed and ready for use.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from hl7_listener.delimiters import STANDARD, Delimiters, declared
from patient_records.model import Masked

_FIELDS: Final = 18  # the last field that is looked at: MSH-18


class Header(Masked, Struct, frozen=True):
    """What MSH says.

    Raw, for the echo: the four application and facility fields (MSH-3 to 6), ``control_id`` (MSH-10),
    ``processing_field``, ``version_field`` and ``charset_field`` (MSH-11, 12, 18). Trimmed: ``timestamp`` (MSH-7),
    ``message_code`` and ``trigger`` (MSH-9.1, 9.2; upper case), ``processing_id`` and ``version`` (first components),
    ``sequence`` (MSH-13), ``accept_ack`` and ``application_ack`` (MSH-15, 16; upper case). ``charset`` is the codec
    that the message was read with, which also writes the answer.
    """

    delimiters: Delimiters = STANDARD
    sending_application: str = ""
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    timestamp: str = ""
    message_code: str = ""
    trigger: str = ""
    control_id: str = ""
    processing_id: str = ""
    version: str = ""
    sequence: str = ""
    accept_ack: str = ""
    application_ack: str = ""
    processing_field: str = ""
    version_field: str = ""
    charset_field: str = ""
    charset: str = "ascii"


def delimiters_of(line: str) -> Delimiters:
    """Read MSH-1 and MSH-2 of a line that starts with ``MSH`` and a field separator."""
    if line.startswith("|^~\\&|", 3):
        return STANDARD
    return declared(line[3], line[4:12].partition(line[3])[0])


def header_of(line: str, delimiters: Delimiters, charset: str) -> Header:
    """Read the MSH line of a message (no terminator in it). Never raises."""
    fields = line.split(delimiters.field, _FIELDS)[:_FIELDS]
    fields += [""] * (_FIELDS - len(fields))
    _, _, mine, my_place, yours, your_place, stamp, _, kind, control, process, version, number, _, accept, application, _, codes = fields  # fmt: skip  # noqa: E501 (MSH-1 to MSH-18 in one row)
    component = delimiters.component
    parts = kind.split(component, 2)
    return Header(
        delimiters,
        mine,
        my_place,
        yours,
        your_place,
        stamp.strip(),
        parts[0].strip().upper(),
        parts[1].strip().upper() if len(parts) > 1 else "",
        control,
        process.partition(component)[0].strip(),
        version.partition(component)[0].strip(),
        number.strip(),
        accept.strip().upper(),
        application.strip().upper(),
        process,
        version,
        codes,
        charset,
    )

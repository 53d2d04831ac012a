"""The message header, MSH: who speaks, what about, and which answers are asked for (HL7 2.5.1 chapter 2.15.9).

It is read at once and whole, because everything needs it, the acknowledgment most of all. Fields that the answer must
repeat are kept as they came; the others are trimmed and ready for use, where a null (two quote characters) is nothing.

MSH-10 must go back byte for byte, and not every codec gives back the bytes that it read: Shift JIS has two spellings of
some characters, ISO 2022 has many of each. For those the bytes are looked up in the line as it came.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import Final

from msgspec import Struct

from hl7_listener.delimiters import STANDARD, Delimiters, declared
from patient_records.model import Masked

_FIELDS: Final = 18  # the last field that is looked at: MSH-18
_NULL: Final = '""'
_CONTROL_ENDS: Final = 10  # MSH-10 stands between the ninth field separator and the tenth
_ASCII_KEEPERS: Final = frozenset({"cp932", "euc_jp", "euc_kr", "big5", "gb18030"})
_MANY_SPELLINGS: Final = _ASCII_KEEPERS | {"iso2022_jp_2"}
"""Codecs of more than one spelling; all but the last one have only one of each ASCII character."""
_LONGEST_LINE: Final = 4096
"""Bytes of an MSH line in which the spelling of MSH-10 is looked up, byte by byte."""


class Header(Masked, Struct, frozen=True):
    """What MSH says.

    Raw, for the echo: the four application and facility fields (MSH-3 to 6), ``control_id`` (MSH-10),
    ``processing_field``, ``version_field`` and ``charset_field`` (MSH-11, 12, 18). Trimmed: ``timestamp`` (MSH-7),
    ``message_code`` and ``trigger`` (MSH-9.1, 9.2; upper case), ``processing_id`` and ``version`` (first components),
    ``sequence`` (MSH-13), ``accept_ack`` and ``application_ack`` (MSH-15, 16; upper case). ``charset`` is the codec
    that the message was read with, which also writes the answer; ``control_bytes`` are those of MSH-10 where that
    codec might write other ones, else empty.
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
    control_bytes: bytes = b""


def delimiters_of(line: str) -> Delimiters:
    """Read MSH-1 and MSH-2 of a line that starts with ``MSH`` and a field separator."""
    if line.startswith("|^~\\&|", 3):
        return STANDARD
    return declared(line[3], line[4:12].partition(line[3])[0])


def header_of(line: str, delimiters: Delimiters, charset: str, raw: bytes = b"") -> Header:
    """Read the MSH line of a message (no terminator in it). Never raises.

    ``raw`` are the bytes that begin with that line; they are looked at only where the codec is one of many spellings.
    """
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
        _plain(stamp),
        _plain(parts[0]).upper(),
        _plain(parts[1]).upper() if len(parts) > 1 else "",
        control,
        _plain(process.partition(component)[0]),
        _plain(version.partition(component)[0]),
        _plain(number),
        _plain(accept).upper(),
        _plain(application).upper(),
        process,
        version,
        codes,
        charset,
        _spelling(control, delimiters.field, charset, raw) if charset in _MANY_SPELLINGS else b"",
    )


def _plain(text: str) -> str:
    text = text.strip()
    return "" if text == _NULL else text


def _spelling(control: str, separator: str, charset: str, raw: bytes) -> bytes:
    """Find the bytes of MSH-10 in a line; nothing where the codec writes them itself or they cannot be found."""
    if charset in _ASCII_KEEPERS and control.isascii():
        return b""
    decoder = getincrementaldecoder(charset)("replace")
    marks: list[int] = []
    for index, byte in enumerate(raw[:_LONGEST_LINE] + b"\r"):
        character = decoder.decode(bytes((byte,)))[-1:]  # the last, for some come only with the next byte
        if character in {separator, "\r"}:
            marks.append(index)
            if character == "\r" or len(marks) == _CONTROL_ENDS:
                break
    if len(marks) < _CONTROL_ENDS:
        return b""
    field = raw[marks[-2] + 1 : marks[-1]]
    for found in (field, field.partition(b"\n")[0]):
        if (found + b"\r").decode(charset, "replace")[:-1] == control:  # CR, lest half an escape sequence be replaced
            return found
    return b""

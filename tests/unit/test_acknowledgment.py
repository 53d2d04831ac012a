"""The text of an answer, and which answers are due."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from hl7_listener import acknowledgment, charset
from hl7_listener.acknowledgment import AckCode, Fault, FaultCode, Location, Severity, acknowledge, due
from hl7_listener.delimiters import NONE, Delimiters
from hl7_listener.errors import Unreadable
from hl7_listener.header import Header
from hl7_listener.message import read

AA, AE, AR, CA, CE, CR = AckCode.AA, AckCode.AE, AckCode.AR, AckCode.CA, AckCode.CE, AckCode.CR
NOW = datetime(2026, 3, 1, 10, 15, 7, 999_999, tzinfo=timezone(timedelta(hours=1)))
FAULT = Fault(FaultCode.REQUIRED_FIELD_MISSING, Location("PID", 1, 5, 1, 1), "family name")


def header(line: str = r"MSH|^~\&|PAS^a|RX1|DS|RX9|2026||ADT^A28^ADT_A05|MSG 1|P^T|2.5.1^GBR") -> Header:
    return read(line.encode()).header


def answer(received: Header, code: AckCode = AA, text: str = "", faults: tuple[Fault, ...] = ()) -> list[str]:
    written = acknowledge(received, code, control_id="DS7", now=NOW, text=text, faults=faults)
    return written.decode(received.charset).split("\r")


def test_an_answer_to_the_letter() -> None:
    assert answer(header()) == [
        r"MSH|^~\&|DS|RX9|PAS^a|RX1|20260301101507+0100||ACK^A28^ACK|DS7|P^T|2.5.1^GBR",
        "MSA|AA|MSG 1",
        "",
    ]


def test_the_charset_field_is_repeated_and_its_codec_used() -> None:
    received = header(r"MSH|^~\&|PAS|RX1|DS|é|2026||ADT^A28|é|P|2.5||||||UNICODE UTF-8")
    written = acknowledge(received, AA, control_id="DS7", now=NOW)
    assert written.split(b"\r")[0].endswith(b"|P|2.5||||||UNICODE UTF-8")
    assert written.split(b"\r")[1] == "MSA|AA|é".encode()
    latin = read(b"MSH|^~\\&|PAS|RX1|DS|RX9|2026||ADT^A28|\xe9|P|2.5||||||8859/1").header
    assert acknowledge(latin, AA, control_id="DS7", now=NOW).split(b"\r")[1] == b"MSA|AA|\xe9"


def test_the_senders_delimiters_are_used_and_text_is_escaped_in_them() -> None:
    received = header(r"MSH@~&#\@PAS@RX1@DS@RX9@2026@@ADT~A28@1@P@2.5")
    assert answer(received, AE, r"a@b~c&d#e\f|^", (FAULT,)) == [
        r"MSH@~&#\@DS@RX9@PAS@RX1@20260301101507+0100@@ACK~A28~ACK@DS7@P@2.5",
        "MSA@AE@1@a#F#b#S#c#R#d#E#e#T#f|^",
        "ERR@@PID~1~5~1~1@101~Required field missing~HL70357@E@@@@family name",
        "",
    ]


def test_a_line_break_in_the_text_starts_no_segment() -> None:
    assert answer(header(), AA, "a\r\nb")[1:] == [r"MSA|AA|MSG 1|a\X0D\\.br\b", ""]


def test_without_an_escape_character_delimiters_become_blanks() -> None:
    received = replace(header(), delimiters=Delimiters(escape=NONE))
    assert answer(received, AA, "a|b")[:2] == [
        "MSH|^~&|DS|RX9|PAS^a|RX1|20260301101507+0100||ACK^A28^ACK|DS7|P^T|2.5.1^GBR",
        "MSA|AA|MSG 1|a b",
    ]


@pytest.mark.parametrize(
    ("version", "message_type", "err"),
    [
        ("2.1", "ACK", False),
        ("2.2", "ACK", False),
        ("2.3", "ACK^A28", False),
        ("2.3.1", "ACK^A28^ACK", False),
        ("2.4", "ACK^A28^ACK", False),
        ("2.5", "ACK^A28^ACK", True),
        ("2.5.1", "ACK^A28^ACK", True),
        ("2.9", "ACK^A28^ACK", True),
        ("2.10", "ACK^A28^ACK", True),
        ("", "ACK^A28^ACK", False),
        ("2", "ACK", False),
        ("2.x", "ACK^A28^ACK", False),
        ("3.0", "ACK^A28^ACK", False),
        ("2.²", "ACK^A28^ACK", False),
    ],
)
def test_the_version_decides_the_message_type_and_the_error_segment(
    version: str, message_type: str, *, err: bool
) -> None:
    lines = answer(header(rf"MSH|^~\&|||||||ADT^A28|1|P|{version}"), AE, faults=(FAULT,))
    assert lines[0].split("|")[8] == message_type
    assert lines[0].split("|")[11] == version
    assert (lines[2][:3] == "ERR") is err


def test_without_a_trigger_the_type_is_plain() -> None:
    assert answer(header(r"MSH|^~\&|||||||ADT|1|P|2.5"))[0].split("|")[8] == "ACK"


def test_an_answer_to_nothing_readable_is_still_an_answer() -> None:
    assert answer(Header(), AR, "no MSH") == [r"MSH|^~\&|||||20260301101507+0100||ACK|DS7||", "MSA|AR||no MSH", ""]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (Fault(FaultCode.UNSUPPORTED_MESSAGE_TYPE), "ERR|||200^Unsupported message type^HL70357|E"),
        (
            Fault(FaultCode.DATA_TYPE_ERROR, Location("PID", 1, 7), severity=Severity.WARNING),
            "ERR||PID^1^7|102^Data type error^HL70357|W",
        ),
        (
            Fault(FaultCode.UNSUPPORTED_VERSION_ID, Location("MSH", 1, 12, component=1)),
            "ERR||MSH^1^12^^1|203^Unsupported version id^HL70357|E",
        ),
    ],
)
def test_error_segments(fault: Fault, line: str) -> None:
    assert answer(header(), AE, faults=(fault, FAULT))[2] == line
    assert answer(header(), AE, faults=(fault, FAULT))[3].startswith("ERR||PID^1^5^1^1|101^")


@pytest.mark.parametrize(
    ("zone", "offset"),
    [(UTC, "+0000"), (timezone(-timedelta(hours=3, minutes=30)), "-0330"), (timezone(timedelta(seconds=-75)), "-0001")],
)
def test_the_time_carries_its_offset(zone: timezone, offset: str) -> None:
    written = acknowledge(header(), AA, control_id="1", now=datetime(2026, 12, 31, 23, 59, 59, tzinfo=zone))
    assert written.split(b"|")[6] == f"20261231235959{offset}".encode()


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        acknowledge(header(), AA, control_id="1", now=NOW.replace(tzinfo=None))


# What is due. Rows are MSH-15, columns MSH-16; in a cell the answers to AA, AE and AR; "-" is silence.
COLUMNS = ("", "AL", "NE", "ER", "SU")
ONE = {
    "": ("AA AE AR", "AA AE AR", "- - -", "- AE AR", "AA - -"),
    "AL": ("CA CE CR", "CA CE CR", "CA CE CR", "CA CE CR", "CA CE CR"),
    "NE": ("- - -", "AA AE AR", "- - -", "- AE AR", "AA - -"),
    "ER": ("- CE CR", "AA CE CR", "- CE CR", "- CE CR", "AA CE CR"),
    "SU": ("CA - -", "CA AE AR", "CA - -", "CA AE AR", "CA - -"),
}
BOTH = {
    "": ("AA AE AR", "AA AE AR", "- - -", "- AE AR", "AA - -"),
    "AL": ("CA CE CR", "CA+AA CA+AE CR", "CA CE CR", "CA CA+AE CR", "CA+AA CE CR"),
    "NE": ("- - -", "AA AE AR", "- - -", "- AE AR", "AA - -"),
    "ER": ("- CE CR", "AA AE CR", "- CE CR", "- AE CR", "AA CE CR"),
    "SU": ("CA - -", "CA+AA CA+AE AR", "CA - -", "CA CA+AE AR", "CA+AA - -"),
}


def _cell(cell: str, code: AckCode) -> tuple[AckCode, ...]:
    answers = cell.split()[(AA, AE, AR).index(code)]
    return () if answers == "-" else tuple(AckCode(name) for name in answers.split("+"))


def _asking(accept: str, application: str, kind: str = "ADT^A28") -> Header:
    return header(rf"MSH|^~\&|||||||{kind}|1|P|2.5|||{accept}|{application}")


CELLS = [(row, column, code, both) for row, column, code, both in product(ONE, COLUMNS, (AA, AE, AR), (False, True))]


@pytest.mark.parametrize(("accept", "application", "code", "both"), CELLS)
def test_every_combination_of_what_is_asked_for(accept: str, application: str, code: AckCode, *, both: bool) -> None:
    expected = _cell((BOTH if both else ONE)[accept][COLUMNS.index(application)], code)
    asked = _asking(accept, application)
    assert due(asked, code, always=False, both=both) == expected
    accept_form = {AA: CA, AE: CE, AR: CR}[code]
    unasked = accept_form if accept in {"AL", "ER", "SU"} else code
    assert due(asked, code, always=True, both=both) == (expected or (unasked,))


@pytest.mark.parametrize(("accept", "application"), list(product(ONE, COLUMNS)))
def test_who_asks_for_errors_hears_of_every_error(accept: str, application: str) -> None:
    asked = _asking(accept, application)
    wants_errors = {accept, application} & {"AL", "ER"} or (accept, application) == ("", "")
    for code, both in product((AE, AR), (False, True)):
        answers = due(asked, code, always=False, both=both)
        assert bool(set(answers) & {AE, AR, CE, CR}) is bool(wants_errors)
        assert answers != (CA,)


@pytest.mark.parametrize(
    ("accept", "application", "expected"),
    [
        ('""', '""', (AA,)),
        (" ", "", (AA,)),
        ("al", "ne", (CA,)),
        ("Y", "", (AA,)),
        ("Y", "AL", (AA,)),
        ("Y", "NE", ()),
        ('""', "AL", (AA,)),
    ],
)
def test_nulls_blanks_and_odd_values_ask_for_nothing(
    accept: str, application: str, expected: tuple[AckCode, ...]
) -> None:
    assert due(_asking(accept, application), AA, always=False, both=False) == expected


@pytest.mark.parametrize("kind", ["ACK", "ACK^A28", "ACK^A28^ACK", "ack^A28"])
def test_an_acknowledgment_is_never_answered(kind: str) -> None:
    for accept, code, always in product(("", "AL"), (AA, AE, AR), (False, True)):
        assert due(_asking(accept, "AL", kind), code, always=always, both=True) == ()


# ---- bounds ----------------------------------------------------------------------------------------------------------

LONG = "9" * 100_000


@pytest.mark.parametrize(
    ("cached", "line"),
    [
        (acknowledgment._level, rf"MSH|^~\&|||||||ADT^A28|1|P|2.{LONG}"),
        (acknowledgment._known_echo, rf"MSH|^~\&|||||||ADT^A28|1|P|2.5^{LONG}"),
        (acknowledgment._known_echo, rf"MSH|^~\&|||||||ADT^A28|1|P^{LONG}|2.5"),
        (acknowledgment._all_known, rf"MSH|^~\&|||||||ADT^A28|1|P|2.5||||||{LONG}"),
        (charset._codec_for, rf"MSH|^~\&|||||||ADT^A28|1|P|2.5||||||{LONG}"),
    ],
    ids=["version", "MSH-12", "MSH-11", "MSH-18", "charset"],
)
def test_what_a_sender_can_make_long_is_no_key_of_a_cache(
    cached: Any, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: list[object] = []

    def spy(*key: object) -> object:
        keys.extend(key)
        return cached.__wrapped__(*key)

    monkeypatch.setattr(sys.modules[cached.__module__], cached.__name__, spy)
    assert LONG.encode() not in acknowledge(header(line), AR, control_id="1", now=NOW).partition(b"\rMSA")[0]
    assert not [key for key in keys if isinstance(key, str) and len(key) > 256]


def test_our_own_control_id_is_no_longer_than_the_standard_has_it() -> None:
    written = acknowledge(header(), AA, control_id="X" * 5 + "0123456789" * 2, now=NOW)
    assert written.split(b"|")[9] == b"0123456789" * 2


# ---- byte for byte ---------------------------------------------------------------------------------------------------

TWO_SPELLINGS = [
    ("MS932", b"\xfaD", "an IBM character that cp932 writes otherwise"),
    ("MS932", b"A\xee\xef", "an NEC selection of the same"),
    ("ISO IR87", b"\x1b$ACRR9\x1b(B", "kanji by way of the Chinese set"),
    ("ISO IR87", b"\x1b(JABC\x1b(B", "letters of JIS X 0201, which look like ASCII"),
    ("ISO IR87", b"AB\x1b", "half an escape sequence"),
    ("ISO IR87", b"\x1b(JA\x1b(B\x1b", "letters of JIS X 0201 and half an escape sequence"),
]


@pytest.mark.parametrize(("name", "control"), [row[:2] for row in TWO_SPELLINGS], ids=[row[2] for row in TWO_SPELLINGS])
@pytest.mark.parametrize("end", [b"|P|2.5||||||", b"", b"\rEVN|A28", b"\nEVN|A28", b"\r\nEVN|A28"])
def test_a_control_id_goes_back_byte_for_byte_although_its_codec_has_two_spellings(
    name: str, control: bytes, end: bytes
) -> None:
    tail = end + (name.encode() if end.endswith(b"||") else b"")
    line = b"MSH|^~\\&|A|B|C|D|20250101||ADT^A28|" + control + tail + b"\r"
    written = acknowledge(read(line, default_charset=name).header, AE, control_id="1", now=NOW, text="why")
    assert written.split(b"\rMSA|")[1] == b"AE|" + control + b"|why\r"


def test_where_the_codec_has_one_spelling_nothing_is_looked_up() -> None:
    for line in (b"MSH|^~\\&|||||||ADT^A28|ABC|P|2.5||||||MS932", "MSH|^~\\&|||||||ADT^A28|é|P|2.5".encode()):
        assert read(line).header.control_bytes == b""


# ---- nulls, and what could not be read -------------------------------------------------------------------------------


def test_a_null_in_the_header_is_nothing() -> None:
    null = '""'
    read_ = header(rf"MSH|^~\&|A|B|C|D|{null}||{null}^{null}|1|{null}|{null}|{null}||{null}|{null}")
    assert not any((read_.timestamp, read_.message_code, read_.trigger, read_.sequence, read_.accept_ack))
    assert not any((read_.processing_id, read_.version, read_.application_ack))
    assert answer(read_)[0].split("|")[10:12] == [null, null]


@pytest.mark.parametrize("kind", ["ADT^A28", "ACK", "ack^A28"])
def test_what_could_not_be_read_gets_an_answer_whatever_it_asks_for(kind: str) -> None:
    for before in (b"x", b"\x01\x02", b"PID|1\r"):
        with pytest.raises(Unreadable) as raised:
            read(before + rf"MSH|^~\&|A|B|C|D|2026||{kind}|77|P|2.5|||NE|NE".encode())
        assert due(raised.value.header, AR) == (AR,)
        assert acknowledge(raised.value.header, AR, control_id="1", now=NOW).endswith(b"\rMSA|AR|77\r")

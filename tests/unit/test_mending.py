"""One place gets another value; every other byte stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_listener.errors import Unreadable
from hl7_listener.mending import MendFault, mend, parse_mend
from hl7_listener.message import read

MESSAGE = (
    b"MSH|^~\\&|PAS|RX1|DOORSTEP|RX1|20260301120000||ADT^A28^ADT_A05|1|P|2.5\r"
    b"EVN|A28|20260301120000\r"
    b"PID|1||9990000018^^^NHS^NH~4711^^^RX1^MR||Archer^Una^^^Ms||19700101|F\r"
    b"OBX|1|NM|A||1\rOBX|2|NM|B||2\r"
)


def mended(*texts: str, raw: bytes = MESSAGE) -> bytes:
    return mend(raw, [parse_mend(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("PID.7=19800229", b"|19700101|", b"|19800229|"),
        ("PID-7=19800229", b"|19700101|", b"|19800229|"),
        ("pid.5.1=Bowman", b"|Archer^Una", b"|Bowman^Una"),
        ("PID.5=Bowman^Kit", b"|Archer^Una^^^Ms|", b"|Bowman^Kit|"),
        ("PID.3[2].1=4712", b"~4711^", b"~4712^"),
        ("PID.3[2]=4712^^^RX1^MR", b"~4711^^^RX1^MR", b"~4712^^^RX1^MR"),
        ("PID.3.4.2=2.16", b"9990000018^^^NHS^NH", b"9990000018^^^NHS&2.16^NH"),
        ("OBX[2].5=7", b"|B||2\r", b"|B||7\r"),
        ("MSH.10=42", b"|1|P|", b"|42|P|"),
        ("PID.8=", b"|19700101|F\r", b"|19700101|\r"),
        ("PID.11=1 Lane^^Town", b"|19700101|F\r", b"|19700101|F|||1 Lane^^Town\r"),
    ],
)
def test_one_place_changes_and_no_other_byte(text: str, before: bytes, after: bytes) -> None:
    assert MESSAGE.count(before) == 1
    assert mended(text) == MESSAGE.replace(before, after)


def test_mends_are_done_in_their_order() -> None:
    assert b"|Bowman^Kit^^^Ms|" in mended("PID.5.1=Bowman", "PID.5.2=Kit")


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_line_ends_stay_as_they_came(end: bytes) -> None:
    raw = MESSAGE.replace(b"\r", end)
    assert mended("PID.7=19800229", raw=raw) == raw.replace(b"19700101", b"19800229")


def test_the_value_is_written_in_the_message_s_charset() -> None:
    raw = MESSAGE.replace(b"|P|2.5\r", b"|P|2.5||||||8859/1\r").replace(b"Una", b"Zo\xeb")
    assert mended("PID.5.1=Müller", raw=raw) == raw.replace(b"Archer", b"M\xfcller")
    with pytest.raises(MendFault, match="that the message's charset"):
        mended("PID.5.1=Łukasz", raw=raw)


def test_other_delimiters_are_the_message_s_own() -> None:
    raw = b"MSH#*~\\&#PAS#RX1#D#RX1#2026##ADT*A28#1#P#2.5\rPID#1##1*2##A*B\r"
    assert mended("PID.5.2=C", raw=raw) == raw.replace(b"#A*B", b"#A*C")


@pytest.mark.parametrize(
    "text",
    [
        "PID.7",
        "PID=1",
        "=1",
        "PID.0=1",
        "PID[0].7=1",
        "PID.3[0].1=1",
        "MSH.1=#",
        "MSH.2=x",
        "PID.7=a\rb",
        "PID.7=a\x1c",
    ],
)
def test_what_is_no_mend_says_so_without_its_value(text: str) -> None:
    with pytest.raises(MendFault) as fault:
        parse_mend(text)
    assert "a\rb" not in str(fault.value)


def test_a_segment_that_is_not_there_is_a_fault() -> None:
    with pytest.raises(MendFault, match=r"PV1\.2: the message has no such segment"):
        mended("PV1.2=N")
    with pytest.raises(MendFault, match=r"OBX\[3\]"):
        mended("OBX[3].5=1")


def test_bytes_that_are_no_message_cannot_be_mended() -> None:
    with pytest.raises(Unreadable):
        mended("PID.7=1", raw=b"nothing of the kind")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x1c\0|^~\\&"), max_size=20))
def test_what_was_set_is_read_back(value: str) -> None:
    pid = read(mended(f"PID.5.1={value}")).segment("PID")
    assert pid is not None
    assert pid.text(5) == value.strip()
    assert pid.text(5, 2) == "Una"
    assert pid.text(7) == "19700101"

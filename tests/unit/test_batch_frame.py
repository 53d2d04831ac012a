"""A batch frame is taken apart into its messages, byte for byte, and its counts are checked."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7_listener.batch_frame import MOST_IN_BATCH, envelope_header, is_batch, take_apart
from tests.support.feed import a28

ONE, TWO = a28(1), a28(2)
BHS, FHS = b"BHS|^~\\&|PAS|RX1|doorstep|RX1|20260101||||B7\r", b"FHS|^~\\&|PAS|RX1\r"


@pytest.mark.parametrize(
    ("payload", "messages", "batches", "fault"),
    [
        (BHS + ONE + TWO + b"BTS|2\r", [ONE, TWO], 1, ""),
        (BHS + ONE + TWO + b"BTS\r", [ONE, TWO], 1, ""),
        (BHS + ONE + TWO + b'BTS|""\r', [ONE, TWO], 1, ""),
        (BHS + ONE + TWO + b"BTS|002|all of it", [ONE, TWO], 1, ""),
        (BHS + ONE + TWO, [ONE, TWO], 1, ""),
        (FHS + BHS + ONE + b"BTS|1\r" + BHS + TWO + b"BTS|1\rFTS|2\r", [ONE, TWO], 2, ""),
        (FHS + ONE + TWO + b"FTS|1\r", [ONE, TWO], 1, ""),
        (b"\n " + BHS.lower() + ONE + b"bts|1\r", [ONE], 1, ""),
        (BHS + ONE + b"BTS|2\r", [ONE], 1, "batch count"),
        (BHS + ONE + b"BTS|0\r", [ONE], 1, "batch count"),
        (BHS + ONE + b"BTS|one\r", [ONE], 1, "batch count"),
        (BHS + ONE + b"BTS|" + b"9" * 10_000 + b"\r", [ONE], 1, "batch count"),
        (FHS + BHS + ONE + b"BTS|1\r" + BHS + TWO + b"BTS|2\rFTS|2\r", [ONE, TWO], 2, "batch count"),
        (FHS + BHS + ONE + b"BTS|1\rFTS|2\r", [ONE], 1, "file count"),
        (BHS + b"BTS|0\r", [], 1, ""),
        (BHS + b"PID|1||lost\r" + ONE + b"BTS|1\r", [b"\rPID|1||lost\r", ONE], 1, ""),
        (BHS.replace(b"|", b"!") + ONE + b"BTS!1\r", [ONE], 1, ""),
    ],
)
def test_what_is_in_a_batch(payload: bytes, messages: list[bytes], batches: int, fault: str) -> None:
    assert is_batch(payload)
    frame = take_apart(payload)
    assert [part.raw for part in frame.parts] == messages
    assert (len(frame.lines), frame.fault) == (batches, fault)
    for part in frame.parts:
        assert payload[part.offset : part.offset + len(part.raw)] == part.raw


@pytest.mark.parametrize("payload", [ONE, b"", b"BHS", b"BHSX|", b"MSH|^~\\&\rBHS|^~\\&", b"FHS1"])
def test_what_is_no_batch(payload: bytes) -> None:
    assert not is_batch(payload)


def test_a_batch_of_too_many_messages_is_not_taken_apart() -> None:
    frame = take_apart(BHS + b"MSH|^~\\&|\r" * (MOST_IN_BATCH + 1))
    assert (frame.parts, frame.fault) == ((), "too many messages")
    assert len(take_apart(BHS + b"MSH|^~\\&|\r" * MOST_IN_BATCH).parts) == MOST_IN_BATCH


@pytest.mark.parametrize("piece", [b"BTS\rx\r", b"BHS|\r", b"BHS|\rx\rMSH|\r", b"MSH|^~\\&\n"])
def test_no_filling_makes_more_parts_than_are_held(piece: bytes) -> None:
    frame = take_apart(BHS + piece * (100_000 // len(piece) * 8))
    assert (frame.parts, frame.fault) == ((), "too many messages")


@pytest.mark.parametrize("filling", [b" ", b"\r", b"\r ", b"\xef\xbb\xbf", b" \xef\xbb\xbf", b"\rFH", b"FHS", b"\t\n"])
def test_a_megabyte_of_nothing_costs_no_more_than_a_look(filling: bytes) -> None:
    """A pattern that tries it in more than one way would not come back."""
    payload = filling * ((1 << 20) // len(filling))
    assert not is_batch(payload)
    assert take_apart(BHS + payload).fault == ""


def test_the_envelope_says_who_sent_it() -> None:
    header = envelope_header(BHS.strip())
    assert (header.sending_application, header.receiving_facility, header.control_id) == ("PAS", "RX1", "B7")
    for odd in (b"", b"BHS", b"BHS|", b"BHS|\xff\xfe"):
        envelope_header(odd)


TOKENS = st.sampled_from(
    [b"FHS", b"BHS", b"MSH", b"BTS", b"FTS", b"|", b"^~\\&", b"1", b"2", b"\r", b"\n", b" ", b"PID"]
)


@settings(max_examples=300)
@given(tail=st.one_of(st.lists(TOKENS, max_size=60).map(b"".join), st.binary(max_size=200)))
def test_no_byte_of_a_message_is_lost_and_nothing_raises(tail: bytes) -> None:
    payload = BHS + tail
    frame = take_apart(payload)
    behind = 0
    for part in frame.parts:
        assert part.offset >= behind
        between = payload[behind : part.offset]
        assert b"MSH|" not in between
        behind = part.offset + len(part.raw)
    assert isinstance(frame.header.control_id, str)

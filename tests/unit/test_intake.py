"""Bytes in portions: the same events as from the decoder alone, and never many more than were asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_listener.framing import VT, Event, FrameDecoder, Junk, JunkReason
from hl7_listener.intake import Intake

MOST = 8
WIRE = st.lists(st.sampled_from([b"\x0b", b"\x1c", b"\r", b"\n", b"x", b"yy", b"\x0bM\x1c\r"]), max_size=200).map(
    b"".join
)


def everything(intake: Intake) -> list[Event]:
    """Take in portions until nothing waits."""
    found: list[Event] = []
    while intake.waits:
        portion = intake.take(MOST)
        assert len(portion) < 2 * MOST + 2
        found += portion
    return found


def apart(event: Event) -> list[bytes]:
    """Take what was put together apart again."""
    together = isinstance(event, Junk) and event.reason is JunkReason.INTERRUPTED
    return event.payload.split(VT) if together else [event.payload]


@given(WIRE)
def test_portions_give_what_the_decoder_gives(wire: bytes) -> None:
    plain = FrameDecoder(1000)
    expected = [event.payload for event in [*plain.feed(wire), *plain.close()]]
    intake = Intake(1000)
    intake.put(wire)
    found = [*everything(intake), *intake.close()]
    assert [payload for event in found for payload in apart(event)] == expected
    assert intake.skipped == plain.skipped


def test_what_is_not_asked_for_stays_bytes() -> None:
    intake = Intake(1000)
    intake.put(b"\x0bx\x1c" * 1000)
    assert len(intake.take(10)) in range(10, 21)
    assert intake.waits
    assert intake.held >= 2900
    assert len(everything(intake)) > 900
    assert intake.held == 0


def test_interruptions_of_one_read_are_one_piece_with_their_bytes() -> None:
    intake = Intake(1000)
    intake.put(b"\x0bx" * 100 + b"\x1c")
    interrupted, frame = intake.take(MOST)
    assert interrupted == Junk(VT.join([b"x"] * 99), 1, JunkReason.INTERRUPTED)
    assert (frame.payload, frame.offset) == (b"x", 199)


def test_no_piece_outgrows_the_cap() -> None:
    intake = Intake(50)
    intake.put(b"\x0bx" * 100)
    pieces = everything(intake)
    assert {len(piece.payload) <= 50 for piece in pieces} == {True}
    assert sum(piece.payload.count(b"x") for piece in pieces) == 99


def test_after_a_frame_that_is_too_large_nothing_waits() -> None:
    intake = Intake(10)
    intake.put(b"\x0b" + b"x" * 100 + b"\x1c")
    assert len(intake.take(MOST)) == 1
    assert intake.spent
    assert not intake.waits


@pytest.mark.parametrize("cut", range(1, 12))
def test_what_waits_is_followed_by_what_comes(cut: int) -> None:
    wire = b"\x0bone\x1c\r\x0btwo\x1c\r"
    intake = Intake(1000)
    intake.put(wire[:cut])
    first = intake.take(1)
    intake.put(wire[cut:])
    assert [event.payload for event in [*first, *everything(intake)]] == [b"one", b"two"]

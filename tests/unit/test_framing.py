"""What the decoder makes of each kind of byte stream; that chunking does not matter is a property test's business."""

from __future__ import annotations

import pytest

from hl7_listener.errors import Unframeable
from hl7_listener.framing import Event, Frame, FrameDecoder, Junk, JunkReason, Oversize, encode

BETWEEN, INTERRUPTED, UNFINISHED = JunkReason.BETWEEN_FRAMES, JunkReason.INTERRUPTED, JunkReason.UNFINISHED


@pytest.mark.parametrize(
    ("stream", "events", "skipped"),
    [
        (b"\x0bA\x1c\r", [Frame(b"A", 1)], 0),
        (b"\x0bA\x1c", [Frame(b"A", 1)], 0),
        (b"\x0bA\x1c\x0bB\x1c", [Frame(b"A", 1), Frame(b"B", 4)], 0),
        (b"\x0bA\x1c\r\x0bB\x1c\r", [Frame(b"A", 1), Frame(b"B", 5)], 0),
        (b"\x0b\x1c\r", [Frame(b"", 1)], 0),
        (b"\x0bA\rB\r\x1c\r", [Frame(b"A\rB\r", 1)], 0),
        (b" \t\r\n\0\x0bA\x1c\r", [Frame(b"A", 6)], 5),
        (b"\x0bA\x1c\r\n\x0bB\x1c\r\r", [Frame(b"A", 1), Frame(b"B", 6)], 2),
        (b"\x0bA\x1c\n\r\x0bB\x1c", [Frame(b"A", 1), Frame(b"B", 6)], 2),
        (b"GET /\r\n\r\n", [Junk(b"GET /", 0, BETWEEN)], 4),
        (b" x y \x0bA\x1c", [Junk(b"x y", 1, BETWEEN), Frame(b"A", 6)], 2),
        (b"\x0bA\x1c\x1c\r\x0bB\x1c", [Frame(b"A", 1), Junk(b"\x1c", 3, BETWEEN), Frame(b"B", 6)], 1),
        (b"\x0bA\x0bB\x1c\r", [Junk(b"A", 1, INTERRUPTED), Frame(b"B", 3)], 0),
        (b"\x0b\x0bB\x1c\r", [Frame(b"B", 2)], 0),
        (b"\x0bA", [Junk(b"A", 1, UNFINISHED)], 0),
        (b"\x0bA\x0b\x0bB", [Junk(b"A", 1, INTERRUPTED), Junk(b"B", 4, UNFINISHED)], 0),
        (b"\x0b\r\n", [], 2),
        (b"\x0b", [], 0),
        (b"", [], 0),
        (b"\x0b12345678\x1c", [Frame(b"12345678", 1)], 0),
        (b"\x0b123456789\x1c\x0bA\x1c", [Oversize(b"12345678", 1)], 0),
        (b"\x0b12345678\x0bA\x1c", [Junk(b"12345678", 1, INTERRUPTED), Frame(b"A", 10)], 0),
        (b"\x0b123456789\x0bA\x1c", [Oversize(b"12345678", 1)], 0),
        (b"\x0b12345678", [Junk(b"12345678", 1, UNFINISHED)], 0),
        (b"abcdefghij", [Junk(b"abcdefgh", 0, BETWEEN), Junk(b"ij", 8, BETWEEN)], 0),
        (b"abc       def", [Junk(b"abc", 0, BETWEEN), Junk(b"def", 10, BETWEEN)], 7),
    ],
)
def test_a_stream_becomes_these_events(stream: bytes, events: list[Event], skipped: int) -> None:
    decoder = FrameDecoder(max_frame=8)
    assert decoder.feed(stream) + decoder.close() == events
    assert decoder.skipped == skipped


def test_a_hundred_frames_in_one_read_come_out_in_order() -> None:
    payloads = [b"MSH|%d" % number for number in range(100)]
    events = FrameDecoder().feed(b"".join(map(encode, payloads)))
    assert [event.payload for event in events] == payloads


def test_it_says_what_it_holds() -> None:
    decoder = FrameDecoder()
    states = []
    for chunk in (b"", b"\x0bABC", b"D", b"\x1c", b"\r", b"junk"):
        decoder.feed(chunk)
        states.append((decoder.in_frame, decoder.buffered))
    assert states == [(False, 0), (True, 3), (True, 4), (False, 0), (False, 0), (False, 4)]


def test_after_an_oversize_frame_and_after_closing_nothing_is_taken() -> None:
    oversize, closed = FrameDecoder(max_frame=2), FrameDecoder()
    oversize.feed(b"\x0bABC")
    closed.close()
    for decoder in (oversize, closed):
        assert decoder.spent
        assert not decoder.in_frame
        assert decoder.feed(b"\x1c\r\x0bA\x1c") == []
        assert decoder.close() == []


def test_never_more_than_the_cap_is_held() -> None:
    decoder = FrameDecoder(max_frame=8)
    for stream in (b"junk without an end" * 9, b"\x0bA\x0bBB", b"CCCCCC"):
        decoder.feed(stream)
        assert decoder.buffered <= 8


def test_a_cap_below_one_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="max_frame"):
        FrameDecoder(max_frame=0)


@pytest.mark.parametrize("payload", [b"A\x0bB", b"A\x1cB"])
def test_what_would_break_the_frame_is_not_encoded(payload: bytes) -> None:
    with pytest.raises(Unframeable, match="control_byte_in_payload"):
        encode(payload)


def test_encoding_and_decoding_are_inverse() -> None:
    assert FrameDecoder().feed(encode(b"MSH|\r")) == [Frame(b"MSH|\r", 1)]


def test_no_repr_shows_content() -> None:
    decoder = FrameDecoder()
    decoder.feed(b"\x0bCANARY")
    for value in (decoder, Frame(b"CANARY", 0), Junk(b"CANARY", 0, BETWEEN), Oversize(b"CANARY", 0)):
        assert "CANARY" not in f"{value!r} {value}"

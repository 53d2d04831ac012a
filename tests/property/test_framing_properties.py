"""The decoder is a function of the stream: chunking is invisible, nothing raises, no byte is looked at often."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, SupportsIndex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hl7_listener.framing import FS, VT, Event, FrameDecoder, Junk, Oversize

PIECES = st.sampled_from([VT, FS, b"\r", b"\n", b"\0", b" ", b"\t", b"A", b"BC", b"MSH|^~\\&", b"\xff\xfe", b"x" * 20])
STREAMS = st.one_of(st.lists(PIECES, max_size=60).map(b"".join), st.binary(max_size=300))


def _run(chunks: list[bytes], max_frame: int) -> tuple[list[Event], int]:
    decoder = FrameDecoder(max_frame)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close(), decoder.skipped


@settings(max_examples=300)
@given(stream=STREAMS, cuts=st.lists(st.integers(0, 400), max_size=12), max_frame=st.integers(1, 64))
def test_any_chunking_gives_the_same_events(stream: bytes, cuts: list[int], max_frame: int) -> None:
    whole = _run([stream], max_frame)
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    assert _run([stream[start:end] for start, end in pairwise(edges)], max_frame) == whole
    assert _run([stream[i : i + 1] for i in range(len(stream))], max_frame) == whole


@settings(max_examples=300)
@given(stream=STREAMS, max_frame=st.integers(1, 64))
def test_every_payload_is_where_its_offset_says_and_within_the_cap(stream: bytes, max_frame: int) -> None:
    behind = 0
    for event in _run([stream], max_frame)[0]:
        assert stream[event.offset : event.offset + len(event.payload)] == event.payload
        assert event.offset >= behind
        assert len(event.payload) <= max_frame
        assert VT not in event.payload
        assert event.payload or not isinstance(event, Junk)
        behind = event.offset + len(event.payload)


@settings(max_examples=200)
@given(stream=STREAMS)
def test_no_byte_is_lost(stream: bytes) -> None:
    events, skipped = _run([stream], 1000)
    kept = sum(len(event.payload) for event in events)
    envelopes = len(stream) - kept - skipped  # VT, FS, and a CR behind FS
    assert 0 <= envelopes <= stream.count(VT) + stream.count(FS) + stream.count(b"\x1c\r")


class Counted(bytes):
    """Bytes that count how many of them were searched or copied."""

    touched = 0

    def find(self, sub: Any, start: Any = 0, end: Any = None) -> int:
        stop = len(self) if end is None else min(end, len(self))
        found = super().find(sub, start, stop)
        Counted.touched += (stop if found < 0 else found + 1) - start
        return found

    def __getitem__(self, key: SupportsIndex | slice) -> Any:
        Counted.touched += len(range(*key.indices(len(self)))) if isinstance(key, slice) else 1
        return super().__getitem__(key)


HOSTILE = {
    "VTs without an end": VT * 200_000,
    "FSs": FS * 200_000,
    "VT and FS in turn": (VT + FS) * 100_000,
    "many small frames": b"\x0bA\x1c\r" * 50_000,
    "interrupted frames": b"\x0bABC" * 50_000,
    "one frame": VT + b"A" * 199_998 + FS,
    "fillers": b"\r" * 200_000,
    "junk": b"A" * 200_000,
    "junk and fillers in turn": b"A " * 100_000,
}


@pytest.mark.parametrize("chunk", [200_000, 1448, 7])
@pytest.mark.parametrize("max_frame", [3, 100, 1 << 20])
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_stream_makes_it_look_at_a_byte_often(kind: str, max_frame: int, chunk: int) -> None:
    stream = HOSTILE[kind]
    pieces = [Counted(stream[at : at + chunk]) for at in range(0, len(stream), chunk)]
    decoder = FrameDecoder(max_frame)
    Counted.touched = 0
    for piece in pieces:
        decoder.feed(piece)
    assert Counted.touched <= 4 * len(stream)  # each is searched for FS and for VT, in two states, and copied


@settings(max_examples=100)
@given(stream=STREAMS)
def test_nothing_follows_an_oversize_frame(stream: bytes) -> None:
    events = _run([stream], 5)[0]
    assert not any(isinstance(event, Oversize) for event in events[:-1])

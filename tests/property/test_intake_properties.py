"""What stands between the socket and the writer: in any chunks and portions the same frames, and an arrival of each."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from hl7_listener.arrival import Unanswered
from hl7_listener.framing import FS, VT, Frame, FrameDecoder
from hl7_listener.intake import Intake
from hl7_listener.interpreter import Interpreter
from hl7_listener.options import ListenerOptions
from tests.support.feed import a28
from tests.support.listening import Recorder
from tests.support.settled import Nobody

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PIECES = st.sampled_from([VT, FS, b"\r", b"\n", b" ", b"A", b"BC", b"\x0bone\x1c\r", b"\x0btwo\x1c", b"x" * 20])
STREAMS = st.lists(PIECES, max_size=60).map(b"".join)


@settings(max_examples=300)
@given(
    stream=STREAMS,
    cuts=st.lists(st.integers(0, 300), max_size=10),
    portions=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
def test_any_chunks_and_portions_give_the_same_frames(stream: bytes, cuts: list[int], portions: list[int]) -> None:
    whole = [event for event in FrameDecoder(64).feed(stream) if isinstance(event, Frame)]
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    intake, taken, turn = Intake(64), [], 0
    for start, end in pairwise(edges):
        intake.put(stream[start:end])
        while intake.waits:
            taken += intake.take(portions[turn % len(portions)])
            turn += 1
    assert [event for event in taken if isinstance(event, Frame)] == whole


SEGMENTS = [b"MSH|^~\\&|A|B|C|D|2026||ADT^A28|1|P|2.5", b"\rPID|1||7^^^R^MR||Doe^Jo", b"BHS|^~\\&", b"FHS|", b"BTS|1"]
SCRAPS = [b"FTS|9", b"\r", b"\n", b"|", b"^", b"\\", b"\xff", b" ", b"ADT", b"\rMRG|8", b"\xef\xbb\xbf"]
TOKENS = st.sampled_from([*SEGMENTS, *SCRAPS])
PAYLOADS = st.one_of(st.binary(max_size=120), st.lists(TOKENS, max_size=30).map(b"".join), st.just(a28(1)))
OPTIONS = ListenerOptions("pas", "127.0.0.1", 0, "RX1", ZoneInfo("Europe/London"))


@settings(max_examples=400)
@given(payloads=st.lists(PAYLOADS, max_size=4))
def test_every_frame_comes_to_something_and_none_is_a_fault_of_ours(payloads: list[bytes]) -> None:
    told = Recorder()
    frames = [Frame(payload, 0) for payload in payloads]
    arrivals = Interpreter(OPTIONS, told).arrivals(frames, NOW, Nobody())
    assert told.errors == []
    assert len(arrivals) >= len(payloads)
    assert all(arrival.raw in b"".join(payloads) for arrival in arrivals)
    assert all(
        not isinstance(arrival.meaning, Unanswered) or arrival.header.message_code == "ACK" for arrival in arrivals
    )

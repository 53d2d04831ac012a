"""Bytes as senders really write them, over a real socket: what is answered, in which order, and what is kept."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from hl7_listener.framing import encode
from tests.support.feed import a28, stream
from tests.support.listening import Listening
from tests.support.mllp import msa
from tests.support.patience import eventually


@pytest.fixture
def listening(sqlite_url: str) -> Iterator[Listening]:
    with Listening(sqlite_url) as listening:
        yield listening


@pytest.mark.parametrize("seed", range(3))
def test_any_chunking_gives_the_same_answers(listening: Listening, seed: int) -> None:
    dice = random.Random(seed)
    messages = [a28(number) for number in range(5)]
    octets = stream(*messages)
    with listening.wire() as wire:
        while octets:
            size = dice.choice([1, 2, 3, 7, 50, 400])
            wire.write(octets[:size])
            octets = octets[size:]
        assert [msa(wire.receive())[:2] for _ in messages] == [("AA", f"{number}-A28") for number in range(5)]


def test_byte_by_byte(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.write(*(bytes([octet]) for octet in stream(a28(1), a28(2))))
        assert [msa(wire.receive())[1] for _ in range(2)] == ["1-A28", "2-A28"]


def test_a_hundred_frames_in_one_write_are_answered_in_order(listening: Listening) -> None:
    messages = [a28(number) for number in range(100)]
    with listening.wire() as wire:
        wire.send(*messages)
        answers = [msa(wire.receive()) for _ in messages]
    assert [(code, control_id) for code, control_id, _ in answers] == [("AA", f"{n}-A28") for n in range(100)]


def test_far_more_frames_than_may_wait_are_all_answered_in_order(listening: Listening) -> None:
    count = 700  # MOST_UNANSWERED is 128: reading stops and goes on several times
    with listening.wire() as wire:
        with listening.held():
            wire.send(*(a28(number) for number in range(count)))
        answers = [msa(wire.receive())[1] for _ in range(count)]
    assert answers == [f"{number}-A28" for number in range(count)]


def test_the_cr_behind_fs_is_optional(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.write(b"".join(encode(a28(number)).removesuffix(b"\r") for number in range(3)))
        assert [msa(wire.receive())[1] for _ in range(3)] == ["0-A28", "1-A28", "2-A28"]
    assert listening.quarantine == []


def test_fillers_between_frames_are_skipped_and_counted(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.write(b"\r\n\0 \t" + encode(a28(1)) + b"\n\n\r \0" + encode(a28(2)))
        assert [msa(wire.receive())[1] for _ in range(2)] == ["1-A28", "2-A28"]
    assert listening.told.counts["skipped"] == 10
    assert listening.quarantine == []


def test_junk_between_frames_is_kept_with_its_place_and_never_answered(listening: Listening) -> None:
    first = encode(a28(1))
    with listening.wire() as wire:
        wire.write(first + b"GET / HTTP/1.1\r\n" + encode(a28(2)))
        assert [msa(wire.receive())[1] for _ in range(2)] == ["1-A28", "2-A28"]
        wire.half_close()
        assert wire.remaining() == []
    (kept,) = listening.rows("quarantine")
    assert (kept["reason"], kept["stream_offset"], kept["state"]) == ("junk: between_frames", len(first), "waiting")
    entry = next(row for row in listening.rows("journal") if row["id"] == kept["journal_id"])
    assert entry["answer"] == ""
    eventually(lambda: len(listening.told.settled) == 3, "the commits to be told of")
    assert [done.answer for done in listening.told.settled if done.journal_id == entry["id"]] == [b""]
    with listening.hospital.database.read() as connection:
        assert listening.hospital._stores.journal.raw(connection, entry["id"]) == b"GET / HTTP/1.1"


def test_a_vt_inside_a_frame_begins_anew_and_what_came_before_is_never_acknowledged(listening: Listening) -> None:
    whole = a28(1, "INTERRUPTED")
    with listening.wire() as wire:
        wire.write(b"\x0b" + whole + encode(a28(2, "WHOLE")))
        assert msa(wire.receive())[:2] == ("AA", "WHOLE")
        wire.half_close()
        assert wire.remaining() == []
    assert listening.quarantine == ["junk: interrupted"]
    assert listening.hospital.find("1") is None
    assert listening.hospital.find("2") is not None


def test_a_frame_that_its_sender_did_not_finish_is_kept_and_not_applied(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.write(b"\x0b" + a28(1))
        wire.half_close()
        assert wire.remaining() == []
    eventually(lambda: listening.quarantine == ["junk: unfinished"], "the quarantine")
    assert listening.hospital.find("1") is None


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"", "unreadable: empty"), (b"hello", "unreadable: no_msh"), (b"MSHABC", "unreadable: no_delimiter")],
)
def test_a_frame_that_is_no_message_gets_an_ar_and_the_connection_stays(
    listening: Listening, payload: bytes, reason: str
) -> None:
    with listening.wire() as wire:
        wire.send(payload)
        assert msa(wire.receive())[:2] == ("AR", "")
        assert msa(wire.exchange(a28(1)))[0] == "AA"
    assert listening.quarantine == [reason]


def test_a_half_closed_client_still_gets_its_answers(listening: Listening) -> None:
    with listening.wire() as wire:
        with listening.held():
            wire.send(a28(1), a28(2))
            wire.half_close()
        assert [msa(answer)[1] for answer in wire.remaining()] == ["1-A28", "2-A28"]


def test_a_probe_that_connects_and_leaves_is_no_event(listening: Listening) -> None:
    for leave in ("close", "reset"):
        wire = listening.wire()
        eventually(lambda: listening.told.counts["connections"] == 1, "the connection")
        if leave == "reset":
            wire.reset()
        wire.socket.close()
        eventually(lambda: listening.told.counts["connections"] == 0, "the end of the connection")
    assert listening.rows("journal") == []
    assert set(listening.told.counts) == {"connections"}


def test_a_client_that_leaves_before_its_answer_and_resends_is_applied_once(listening: Listening) -> None:
    message = a28(1)
    wire = listening.wire()
    with listening.held():
        wire.send(message)
        eventually(lambda: listening.told.counts["received"] == len(encode(message)), "the message")
        wire.reset()
        eventually(lambda: listening.told.counts["connections"] == 0, "the end of the connection")
    eventually(lambda: listening.outcomes == ["applied"], "the commit")
    (first,) = eventually(lambda: listening.told.settled, "the commit to be told of")
    with listening.wire() as again:
        assert encode(again.exchange(message)) == first.answer
    (after,) = listening.rows("journal")
    assert after["repeats"] == 1
    record = listening.hospital.find("1")
    assert record is not None
    assert record.version == 1


def test_both_copies_in_flight_at_once_over_two_connections_are_applied_once(listening: Listening) -> None:
    message = a28(1)
    with listening.wire() as one, listening.wire() as other:
        with listening.held():
            one.send(message)
            other.send(message)
            eventually(lambda: listening.told.counts["received"] == 2 * len(encode(message)), "both copies")
        assert one.receive() == other.receive()
    (entry,) = listening.rows("journal")
    assert entry["repeats"] == 1


def test_one_connection_may_repeat_a_message_in_one_write(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.send(a28(1), a28(1), a28(1))
        answers = {wire.receive() for _ in range(3)}
    assert len(answers) == 1
    assert [row["repeats"] for row in listening.rows("journal")] == [2]

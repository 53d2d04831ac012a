"""Frames of one byte, and trickles: what costs a sender next to nothing may cost others next to nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
from datetime import timedelta
from typing import Any

import pytest

from hl7_listener.connection import MOST_UNANSWERED
from hl7_listener.framing import encode
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import msa
from tests.support.patience import eventually

TINY = {"interrupted": b"\x0bx", "empty": b"\x0b\x1c", "of one byte": b"\x0bx\x1c"}


@pytest.mark.parametrize("unit", TINY.values(), ids=TINY)
def test_tiny_frames_wait_as_bytes_and_not_as_messages(sqlite_url: str, unit: bytes) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        with listening.held():
            wire.write(unit * 40_000)
            eventually(lambda: listening.told.counts["received"] >= 40_000, "a large read")
            assert listening.in_loop(lambda: listening.ingest.backlog) <= 3 * MOST_UNANSWERED
        with listening.wire() as other:
            assert msa(other.exchange(a28(1)))[0] == "AA"


def test_a_trickle_of_interruptions_is_one_row_a_read(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        wire.write(b"\x0bx" * 1000)
        wire.send(a28(1))
        assert msa(wire.receive())[0] == "AA"
        assert len(listening.quarantine) < 20


def test_all_tiny_frames_of_a_sender_that_said_goodbye_are_answered(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        reader: list[bytes] = []
        thread = threading.Thread(target=lambda: reader.extend(wire.remaining()))
        thread.start()
        wire.write(b"\x0bx\x1c" * 3000 + b"\x0bhalf")
        wire.half_close()
        thread.join()
        assert [msa(answer)[0] for answer in reader] == ["AR"] * 3000
        assert listening.quarantine[-1] == "junk: unfinished"


def test_messages_that_wait_as_bytes_are_answered_in_a_drain(sqlite_url: str) -> None:
    count = 4 * MOST_UNANSWERED
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        octets = b"".join(encode(a28(number)) for number in range(count))
        with listening.held():
            wire.write(octets)
            eventually(lambda: listening.told.counts["received"] > 2 * len(octets) // count, "a read")
            for one in listening.in_loop(lambda: tuple(listening.listener._connections)):
                listening.in_loop(one.drain)
        answers = wire.remaining()
        assert [msa(answer)[1] for answer in answers] == [f"{number}-A28" for number in range(len(answers))]
        assert len(answers) == len(listening.outcomes)


def test_a_trickle_of_junk_does_not_put_the_deadline_off(sqlite_url: str) -> None:
    with Listening(sqlite_url, frame_deadline=timedelta(seconds=0.5)) as listening, listening.wire() as wire:
        tick = threading.Event()
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                wire.write(b"\x0bx")
                tick.wait(0.02)
        assert listening.told.counts["limited frame_deadline"] == 1
        assert wire.remaining() == []


def test_who_takes_no_answers_is_closed_and_was_nobodys_turn(sqlite_url: str) -> None:
    """It held more than its share, and it would have been the one that may finish its frame, for ever."""
    changes: dict[str, Any] = {"byte_budget": 64 << 10, "frame_deadline": timedelta(seconds=0.5)}
    with Listening(sqlite_url, **changes) as listening:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", listening.port))
        sender = threading.Thread(target=_feed, args=(deaf,))
        sender.start()
        eventually(lambda: listening.told.counts["limited answers_not_taken"], "the limit to act")
        with listening.wire() as victim:
            octets = encode(a28(7, "v") + b"NTE|1||" + b"t" * 30_000 + b"\r")
            victim.write(octets[:25_000], octets[25_000:])
            assert msa(victim.receive())[0] == "AA"
        sender.join()
        deaf.close()


def _feed(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for number in range(1000):
            peer.sendall(encode(a28(number, f"{number}" + "x" * 300_000)))
            peer.sendall(b"\x0b" + b"y" * 40_000 + b"\x1c")


def test_a_sender_that_takes_its_answers_late_keeps_its_connection(sqlite_url: str) -> None:
    """The deadline is for taking none; who takes some, has another one."""
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        sender = threading.Thread(target=wire.send, args=[a28(n, f"{n}" + "x" * 5000) for n in range(600)])
        sender.start()

        def blocked() -> bool:
            connections = listening.in_loop(lambda: tuple(listening.listener._connections))
            return any(one._stop_reading["writing"] or one._stop_reading["answers"] for one in connections)

        eventually(blocked, "its answers to pile up")
        assert [msa(wire.receive())[0] for _ in range(600)] == ["AA"] * 600
        sender.join()

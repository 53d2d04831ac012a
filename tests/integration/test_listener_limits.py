"""What a hostile or broken sender can take from the others: nothing but its own connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from datetime import timedelta
from ipaddress import ip_network

import pytest

from hl7_listener.framing import encode
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import Wire, msa
from tests.support.patience import eventually

MEBIBYTE = 1 << 20


def large(size: int, person: int = 1) -> bytes:
    """Give a valid message of exactly so many bytes."""
    message = a28(person) + b"OBX|1|ED|X||"
    return message + b"A" * (size - len(message) - 1) + b"\r"


def test_two_mebibytes_at_the_default_cap_get_an_ar_quarantine_and_a_closed_connection(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        with contextlib.suppress(ConnectionError):
            wire.send(large(2 * MEBIBYTE))
        code, control_id, text = msa(wire.receive())
        assert (code, control_id, text) == ("AR", "1-A28", "rejected: too large")
        assert wire.remaining() == []
        assert listening.quarantine == ["too large"]
        assert listening.hospital.find("1") is None
        with listening.wire() as next_one:
            assert msa(next_one.exchange(a28(2)))[0] == "AA"


def test_the_answer_is_there_although_its_sender_was_still_writing(sqlite_url: str) -> None:
    """Closing with bytes unread would reset the connection, and a reset may take the answer with it."""
    with Listening(sqlite_url, max_frame_bytes=4096) as listening, listening.wire() as wire:
        wire.write(b"\x0b" + large(100_000))
        wire.write(*([b"A" * 100_000] * 50))  # no reset: all of it finds a reader
        assert msa(wire.receive())[0] == "AR"
        assert wire.remaining() == []
        wire.write(b"A" * 100_000)
        wire.half_close()
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 0, "the end")


def test_a_sender_that_said_goodbye_with_a_message_that_is_too_large_is_closed_at_once(sqlite_url: str) -> None:
    with Listening(sqlite_url, max_frame_bytes=4096) as listening, listening.wire() as wire:
        with listening.held():
            wire.write(b"\x0b" + large(100_000))
            wire.half_close()
        assert [msa(answer)[0] for answer in wire.remaining()] == ["AR"]
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 0, "the end")


def test_what_came_before_a_message_that_is_too_large_is_answered_first(sqlite_url: str) -> None:
    with Listening(sqlite_url, max_frame_bytes=4096) as listening, listening.wire() as wire:
        with contextlib.suppress(ConnectionError):
            wire.send(a28(1), a28(2), large(300_000, 3), a28(4))
        assert [msa(answer)[:2] for answer in wire.remaining()] == [("AA", "1-A28"), ("AA", "2-A28"), ("AR", "3-A28")]
        assert listening.hospital.find("4") is None


@pytest.mark.parametrize("excess", [0, 1])
def test_the_cap_is_exact(sqlite_url: str, excess: int) -> None:
    with Listening(sqlite_url, max_frame_bytes=10_000) as listening, listening.wire() as wire:
        wire.send(large(10_000 + excess))
        assert msa(wire.receive())[0] == ("AR" if excess else "AA")


def test_two_mebibytes_pass_under_a_raised_cap(sqlite_url: str) -> None:
    with Listening(sqlite_url, max_frame_bytes=4 * MEBIBYTE) as listening, listening.wire() as wire:
        message = large(2 * MEBIBYTE)
        assert msa(wire.exchange(message))[0] == "AA"
        assert msa(wire.exchange(message))[0] == "AA"
        (entry,) = listening.rows("journal")
        assert entry["repeats"] == 1


@pytest.mark.parametrize("mark", ["|", "&", "~", "^", "\\", '""~'])
@pytest.mark.parametrize("place", ["PID-3", "PID-5", "PID-13", "the end of PID", "a segment of its own"])
def test_a_megabyte_of_delimiters_is_only_long(sqlite_url: str, mark: str, place: str) -> None:
    noise = mark.encode() * (990_000 // len(mark))
    message = {
        "PID-3": a28(1).replace(b"1^^^RX1^MR", b"1^^^RX1^MR" + noise),
        "PID-5": a28(1).replace(b"^Tess^", b"^Tess^" + noise),
        "PID-13": a28(1).replace(b"^PRN^CP", b"^PRN^CP" + noise),
        "the end of PID": a28(1, tail=noise.decode()),
        "a segment of its own": a28(1) + b"ZZZ|" + noise + b"\r",
    }[place]
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        assert msa(wire.exchange(message))[1] == "1-A28"
        assert msa(wire.exchange(a28(2)))[0] == "AA"
        assert listening.told.errors == []


def test_a_slow_drip_ends_at_the_deadline_of_the_whole_frame(sqlite_url: str) -> None:
    """Each byte comes in good time, the frame does not: the deadline is not put off from byte to byte."""
    with Listening(sqlite_url, frame_deadline=timedelta(seconds=0.5)) as listening, listening.wire() as wire:
        wire.write(b"\x0b")
        tick = threading.Event()
        with contextlib.suppress(ConnectionError):
            for octet in a28(1) * 100:
                wire.write(bytes([octet]))
                tick.wait(0.02)
        assert listening.told.counts["limited frame_deadline"] == 1
        assert wire.remaining() == []
        assert listening.quarantine == ["junk: unfinished"]


def test_the_deadline_lets_whole_frames_and_quiet_connections_be(sqlite_url: str) -> None:
    deadline = timedelta(seconds=0.3)
    with Listening(sqlite_url, frame_deadline=deadline) as listening, listening.wire() as quiet:
        assert msa(quiet.exchange(a28(1)))[0] == "AA"
        with listening.wire() as slow:
            slow.write(b"\x0bMSH|")
            assert slow.remaining() == []  # by then the deadline of the quiet one would have passed, too
        assert msa(quiet.exchange(a28(2)))[0] == "AA"


def test_a_quiet_connection_ends_only_where_an_idle_timeout_is_set(sqlite_url: str) -> None:
    with Listening(sqlite_url, idle_timeout=timedelta(seconds=1)) as listening, listening.wire() as wire:
        assert msa(wire.exchange(a28(1)))[0] == "AA"
        assert wire.remaining() == []
        assert listening.told.counts["limited idle"] == 1


def test_five_hundred_idle_connections_cost_a_working_one_nothing(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening, contextlib.ExitStack() as open_ones:
        for number in range(500):
            idle = open_ones.enter_context(listening.wire())
            idle.write(b"\x0bMSH|" if number % 2 else b"")
        with listening.wire() as working:
            assert [msa(working.exchange(a28(number)))[0] for number in range(20)] == ["AA"] * 20
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 500, "the others to be there")


def test_beyond_the_cap_a_connection_is_closed_and_the_others_go_on(sqlite_url: str) -> None:
    with Listening(sqlite_url, max_connections=2) as listening, listening.wire() as one:
        assert msa(one.exchange(a28(1)))[0] == "AA"
        with listening.wire() as other:
            assert msa(other.exchange(a28(2)))[0] == "AA"
            with listening.wire() as third:
                assert third.remaining() == []
            assert msa(one.exchange(a28(3)))[0] == "AA"
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 1, "a free place")
        with listening.wire() as fourth:
            assert msa(fourth.exchange(a28(4)))[0] == "AA"
        assert listening.told.counts["refused full"] == 1


@pytest.mark.parametrize(("network", "let_in"), [("127.0.0.0/8", True), ("10.0.0.0/8", False), ("::1/128", False)])
def test_the_allow_list_decides_before_a_byte_is_read(sqlite_url: str, network: str, *, let_in: bool) -> None:
    with Listening(sqlite_url, allow=(ip_network(network),)) as listening, listening.wire() as wire:
        with contextlib.suppress(ConnectionError):
            wire.send(a28(1))
        assert [msa(answer)[0] for answer in ([wire.receive()] if let_in else wire.remaining())] == ["AA"] * let_in
        assert listening.told.counts["refused not_allowed"] == (not let_in)
        assert listening.outcomes == ["applied"] * let_in


def test_a_client_that_never_reads_its_answers_is_not_read_either_and_the_others_go_on(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", listening.port))
        sender = threading.Thread(target=_send_until_closed, args=(deaf,))
        sender.start()

        def blocked() -> bool:
            connections = listening.in_loop(lambda: tuple(listening.listener._connections))
            return any(one._stop_reading["writing"] for one in connections)

        eventually(blocked, "its answers to pile up")
        before = listening.told.counts["received"]
        with listening.wire() as other:
            assert [msa(other.exchange(a28(f"other{n}")))[0] for n in range(20)] == ["AA"] * 20
        read_meanwhile = listening.told.counts["received"] - before - 20 * len(encode(a28("other10")))
        assert read_meanwhile < MEBIBYTE
        deaf.shutdown(socket.SHUT_RDWR)  # which also wakes the sender
        sender.join()
        deaf.close()


def _send_until_closed(peer: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for number in range(1_000_000):
            peer.sendall(encode(a28(number, f"{number:010000}")))  # a long MSH-10 makes long answers


def test_many_large_partial_frames_stay_within_the_budget_and_all_get_through(sqlite_url: str) -> None:
    """Forty frames of half a mebibyte against a budget of two: memory is bounded, and every one is answered."""
    budget, size, count = 2 * MEBIBYTE, MEBIBYTE // 2, 40
    most = 0
    with Listening(sqlite_url, byte_budget=budget) as listening, contextlib.ExitStack() as open_ones:
        wires = [open_ones.enter_context(listening.wire()) for _ in range(count)]
        senders = [
            threading.Thread(target=wire.write, args=(encode(large(size, number)),))
            for number, wire in enumerate(wires)
        ]
        for sender in senders:
            sender.start()
        with open_ones.enter_context(listening.wire()) as small:
            for number in range(20):
                assert msa(small.exchange(a28(1000 + number)))[0] == "AA"
                most = max(most, listening.in_loop(lambda: listening.listener._budget.held))
        for wire in wires:
            assert msa(wire.receive())[0] == "AA"
        for sender in senders:
            sender.join()
        assert most <= budget + size + count * 256 * 1024  # what each may have read at once before it was stopped
        assert listening.in_loop(lambda: (listening.listener._budget.held, listening.listener._budget.queued)) == (0, 0)


def test_frames_that_nobody_finishes_do_not_grow_past_the_budget(sqlite_url: str) -> None:
    """Every sender stops short of the end: nothing is queued, and still not all of them may go on reading."""
    budget, size, count = 2 * MEBIBYTE, MEBIBYTE - 1, 24
    with Listening(sqlite_url, byte_budget=budget) as listening, contextlib.ExitStack() as open_ones:
        wires = [open_ones.enter_context(listening.wire()) for _ in range(count)]
        for wire in wires:
            wire.socket.setblocking(False)
            _push(wire, b"\x0b" + large(size)[:-1])
        with listening.wire() as small:
            for number in range(20):
                assert msa(small.exchange(a28(number)))[0] == "AA"
        held = listening.in_loop(lambda: listening.listener._budget.held)
        assert held <= budget + MEBIBYTE + count * 256 * 1024  # what each may have read at once before it was stopped


def _push(wire: Wire, octets: bytes) -> None:
    """Write as much as the kernel takes."""
    with contextlib.suppress(BlockingIOError):
        while octets:
            octets = octets[wire.socket.send(octets) :]

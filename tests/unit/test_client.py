"""The client keeps order, resends what is in doubt, and never takes an answer for another message's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

import pytest

from hl7_listener.client import Summary, deliver, edited, patient_key, send
from hl7_listener.errors import Unframeable
from hl7_listener.framing import encode
from hl7_listener.lane import Answer
from tests.support.mllp import ScriptedReceiver, acknowledge, answer, drop, silent


def message(control_id: str, mrn: str = "1", accept: str = "", application: str = "", tail: str = "") -> bytes:
    header = f"MSH|^~\\&|PAS|RX1|||20260101120000||ADT^A28|{control_id}|P|2.5|||{accept}|{application}"
    return f"{header}\rPID|1||{mrn}^^^RX1^MR~9^^^X^XX||Doe^Jo\r{tail}".encode()


def run(
    receiver: ScriptedReceiver, messages: Iterable[bytes], *, connections: int = 1, in_flight: int = 1, wait: float = 60
) -> tuple[Summary, list[Answer]]:
    answers: list[Answer] = []

    async def main() -> Summary:
        async with receiver.listening():
            return await deliver(
                messages,
                "127.0.0.1",
                receiver.port,
                connections=connections,
                in_flight=in_flight,
                timeout=wait,
                on_answer=answers.append,
            )

    return asyncio.run(main()), answers


@pytest.mark.parametrize("in_flight", [1, 5])
def test_every_message_gets_its_answer_in_order(in_flight: int) -> None:
    receiver = ScriptedReceiver([answer("AA"), answer("AE"), answer("AR")])
    feed = [message(str(number)) for number in range(20)]
    summary, answers = run(receiver, feed, in_flight=in_flight)
    assert receiver.received == feed
    assert [(a.index, a.control_id) for a in answers] == [(n, str(n)) for n in range(20)]
    assert (summary.sent, summary.answered, summary.codes) == (20, 20, {"AA": 18, "AE": 1, "AR": 1})
    assert (summary.resent, summary.stopped, summary.accepted) == (0, "", False)
    assert len(receiver.by_connection) == 1


@pytest.mark.parametrize("in_flight", [1, 3])
def test_what_a_closed_connection_leaves_in_doubt_is_sent_again_first(in_flight: int) -> None:
    receiver = ScriptedReceiver([answer(), drop, drop])
    feed = [message(str(number)) for number in range(6)]
    summary, answers = run(receiver, feed, in_flight=in_flight)
    assert [a.control_id for a in answers] == list("012345")
    assert answers[1].sendings == 3
    assert summary.answered == 6
    assert summary.resent >= 2
    assert receiver.by_connection[-1] == feed[1:]


def test_an_answer_that_does_not_come_in_time_is_a_failed_connection() -> None:
    receiver = ScriptedReceiver([silent])
    summary, answers = run(receiver, [message("1")], wait=1.0)
    assert (summary.codes, answers[0].sendings) == ({"AA": 1}, 2)


def test_a_patients_messages_share_a_lane() -> None:
    receiver = ScriptedReceiver()
    feed = [message(f"{patient}-{number}", mrn=str(patient)) for number in range(5) for patient in range(30)]
    summary, _ = run(receiver, feed, connections=4)
    assert summary.answered == 150
    assert sorted(receiver.received) == sorted(feed)
    places: dict[bytes, set[int]] = {}
    for place, mine in enumerate(receiver.by_connection):
        for received in mine:
            places.setdefault(patient_key(received), set()).add(place)
    assert len(receiver.by_connection) == 4
    assert all(len(lanes) == 1 for lanes in places.values())
    for patient in range(30):
        mine = [m for m in receiver.received if patient_key(m) == f"{patient}^^^RX1^MR".encode()]
        assert mine == [message(f"{patient}-{number}", mrn=str(patient)) for number in range(5)]


@pytest.mark.parametrize("second", ["MRG|4^^^RX1^MR\r", "PID|2||4^^^RX1^MR\r"])
def test_a_merge_or_a_link_waits_for_what_came_before_and_holds_what_follows(second: str) -> None:
    """One message before the merge, and the merge itself, are lost at first: their resending must not be overtaken."""
    before = [message(f"a{n}", mrn=str(n)) for n in range(10)]
    merge = message("merge", mrn="3", tail=second)
    after = [message(f"b{n}", mrn=str(n)) for n in range(10)]
    lost = {before[0], merge}

    def lose_once(received: bytes) -> bytes | None:
        if received in lost:
            lost.remove(received)
            return None
        return encode(acknowledge(received))

    receiver = ScriptedReceiver([lose_once] * 99)
    run(receiver, [*before, merge, *after], connections=4)
    assert set(receiver.received[:11]) == set(before)
    assert receiver.received[11:13] == [merge, merge]
    assert set(receiver.received[13:]) == set(after)


def test_silence_that_was_asked_for_is_not_waited_for() -> None:
    receiver = ScriptedReceiver([silent])
    summary, answers = run(receiver, [message("1", accept="NE", application="NE"), message("2")])
    assert [a.code for a in answers] == ["", "AA"]
    assert (summary.codes, summary.accepted) == ({"": 1, "AA": 1}, True)


def test_an_acknowledgment_is_sent_and_not_waited_for() -> None:
    receiver = ScriptedReceiver([silent])
    acknowledgment = message("1").replace(b"ADT^A28", b"ACK^A28")
    assert acknowledgment != message("1")
    summary, _ = run(receiver, [acknowledgment, message("2")])
    assert (summary.codes, summary.resent, summary.accepted) == ({"": 1, "AA": 1}, 0, True)


def test_silence_that_is_allowed_is_taken_as_consent_after_the_timeout() -> None:
    receiver = ScriptedReceiver([silent])
    summary, _ = run(receiver, [message("1", accept="ER", application="NE")], wait=1.0)
    assert (summary.codes, summary.resent) == ({"": 1}, 0)


def test_an_answer_to_another_message_is_passed_over() -> None:
    def twice(received: bytes) -> bytes:
        return encode(acknowledge(received, "CA")) + encode(acknowledge(received, "AA"))

    receiver = ScriptedReceiver([twice, answer("AE")])
    _, answers = run(receiver, [message("1"), message("2")])
    assert [(a.control_id, a.code) for a in answers] == [("1", "CA"), ("2", "AE")]


def test_a_receiver_that_is_not_there_ends_the_sending_with_a_reason() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused, and nobody else gets the port
        port = taken.getsockname()[1]
        summary = send([message("1")], "127.0.0.1", port, tries=2)
    assert summary.stopped == f"no_connection 127.0.0.1:{port}"
    assert (summary.sent, summary.accepted) == (0, False)


def test_a_receiver_that_never_answers_ends_the_sending_with_a_reason() -> None:
    receiver = ScriptedReceiver([drop] * 99)

    async def main() -> Summary:
        async with receiver.listening():
            return await deliver([message("1")], "127.0.0.1", receiver.port, tries=2)

    summary = asyncio.run(main())
    assert summary.stopped.startswith("no_answer ")
    assert (summary.sent, summary.resent, summary.answered) == (1, 1, 0)


def test_a_payload_with_framing_bytes_is_refused_before_it_is_sent() -> None:
    receiver = ScriptedReceiver()
    with pytest.raises(Unframeable):
        run(receiver, [message("1", tail="ZZZ|\x1c\r")])
    assert receiver.received == []


def test_an_edit_changes_only_its_fields_and_keeps_every_other_byte() -> None:
    original = "MSH|^~\\&|PAS|RX1|||20260101||ADT^A28|1|P|2.5\rPID|1||7^^^RX1^MR||O\\T\\Neill^Zo\u00eb\r".encode()
    changed = edited(original, {"MSH-10": "42", "PID-8": "F"})
    assert changed == original.replace(b"|1|P|", b"|42|P|").replace(b"Zo\xc3\xab\r", b"Zo\xc3\xab|||F\r")
    with pytest.raises(KeyError):
        edited(original, {"PV1-2": "I"})


def test_nothing_of_a_patient_shows_in_a_repr() -> None:
    receiver = ScriptedReceiver([answer("AE")])
    _, answers = run(receiver, [message("secret-id")])
    assert "secret" not in repr(answers)

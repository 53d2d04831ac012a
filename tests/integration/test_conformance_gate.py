"""``validation = "enforce"``: what is not conformant is not applied, is answered AE, and is kept; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from hl7_listener.arrival import Arrival
from hl7_listener.conformance_process import CheckFailed
from hl7_listener.finding import MOST_BYTES, Finding
from tests.support.listening import Listening
from tests.support.mllp import msa
from tests.support.patience import eventually
from tests.support.profiles import write_profile

BHS = b"BHS|^~\\&|PAS|RX1\r"


def good(person: int) -> bytes:
    """An A28 that keeps to 2.5.1."""
    return (
        f"MSH|^~\\&|PAS|RX1|doorstep|RX1|20240305101500||ADT^A28^ADT_A05|G{person}|P|2.5.1\r"
        "EVN|A28|20240305101500\r"
        f"PID|1||{person}^^^RX1^MR||Testperson^Tess||19801210|F|||1 Long Lane^^Exampleton^^EX1 1AA||07700900123\r"
        "PV1|1|N\r"
    ).encode()


def bad(person: int) -> bytes:
    """The same without PV1, and with a sex that no table has."""
    return good(person).replace(b"PV1|1|N\r", b"").replace(b"|F|", b"|X|").replace(b"|G", b"|B")


def errors_of(answer: bytes) -> list[tuple[str, str]]:
    """ERR-2 and the code of ERR-3 of each."""
    found = [line.split("|") for line in answer.decode().split("\r") if line.startswith("ERR")]
    return [(fields[2], fields[3].split("^")[0]) for fields in found]


class Script:
    """A checker that follows a script: findings, an error, or None to wait until it is let go."""

    def __init__(self, *answers: tuple[Finding, ...] | Exception | None) -> None:
        self.answers = list(answers)
        self.starts = 0
        self.busy = threading.Event()
        self.go = threading.Event()

    def check(self, raw: bytes, charset: str, profiles: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        del raw, charset, profiles
        answer = self.answers.pop(0) if self.answers else ()
        if answer is None:
            self.busy.set()
            self.go.wait()
            raise CheckFailed("ended")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        self.go.set()

    def close(self) -> None:
        """There is nothing to let go of."""


def test_what_is_not_conformant_is_refused_kept_and_not_applied(database_url: str) -> None:
    with Listening(database_url, validation="enforce") as listening, listening.wire() as wire:
        assert msa(wire.exchange(good(1)))[0] == "AA"
        answer = wire.exchange(bad(2))
        code, control_id, text = msa(answer)
        assert (code, control_id) == ("AE", "B2")
        assert text.startswith("rejected: not conformant: ")
        assert text.endswith(" and 1 more")
        assert set(errors_of(answer)) == {("PV1^1", "101"), ("PID^1^8", "103")}
        assert listening.hospital.find("2") is None
        assert [reason.split(":")[0] for reason in listening.quarantine] == ["not conformant"]
        assert not listening.told.errors
        assert b"Testperson" not in answer


def test_answers_keep_their_order_across_the_gate(sqlite_url: str) -> None:
    with Listening(sqlite_url, validation="enforce") as listening, listening.wire() as wire:
        wire.send(good(1), bad(2), b"PID|no header\r", good(3), bad(4))
        assert [msa(wire.receive())[0] for _ in range(5)] == ["AA", "AE", "AR", "AA", "AE"]


def test_a_batch_is_committed_together_all_the_same(sqlite_url: str) -> None:
    with Listening(sqlite_url, validation="enforce") as listening, listening.wire() as wire:
        wire.send(BHS + good(1) + bad(2) + good(3) + b"BTS|3\r")
        assert [msa(wire.receive())[0] for _ in range(3)] == ["AA", "AE", "AA"]
        eventually(lambda: listening.told.counts["batches"] == 1, "the one commit")


def test_a_profile_is_enforced(sqlite_url: str, tmp_path: Path) -> None:
    profile = write_profile(tmp_path / "p.xml", {"PID_10": {"Usage": "R", "Min": "1"}})
    with (
        Listening(sqlite_url, validation="enforce", message_profiles=(profile,)) as listening,
        listening.wire() as wire,
    ):
        answer = wire.exchange(good(1))
        assert msa(answer)[0] == "AE"
        assert errors_of(answer) == [("PID^1^10", "101")]


@pytest.mark.parametrize(
    ("trouble", "rule"), [(CheckFailed("late"), "too_slow_to_check"), (CheckFailed("ended"), "not_checked")]
)
def test_what_cannot_be_checked_does_not_pass(sqlite_url: str, trouble: Exception, rule: str) -> None:
    with Listening(sqlite_url, validation="enforce", checker=Script(trouble)) as listening, listening.wire() as wire:
        code, _, text = msa(wire.exchange(good(1)))
        assert (code, text) == ("AE", f"rejected: not conformant: {rule}")
        assert msa(wire.exchange(good(2)))[0] == "AA"


def test_a_fault_of_ours_does_not_pass_either_and_stops_nobody(sqlite_url: str) -> None:
    checker = Script(RuntimeError("ours"))
    with Listening(sqlite_url, validation="enforce", checker=checker) as listening, listening.wire() as wire:
        assert msa(wire.exchange(good(1)))[0] == "AE"
        assert msa(wire.exchange(good(2)))[0] == "AA"
        assert [type(error) for error in listening.told.errors] == [RuntimeError]


@pytest.mark.parametrize("fault", [RuntimeError("ours"), SystemExit(1)])
def test_the_gate_outlives_what_is_raised_in_it(
    database_url: str, fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the check, where nothing is expected to fail: answered, kept, told of, and the next one is checked."""
    with Listening(database_url, validation="enforce", checker=Script()) as listening:
        judged = listening.gate._judge.judged

        def failing(arrival: Arrival) -> Arrival:
            if arrival.control_id == "G2":
                raise fault
            return judged(arrival)

        monkeypatch.setattr(listening.gate._judge, "judged", failing)
        with listening.wire() as wire:
            wire.send(BHS + good(1) + good(2) + good(3) + b"BTS|3\r", good(4))
            answers = [msa(wire.receive()) for _ in range(4)]
        assert [code for code, _, _ in answers] == ["AA", "AE", "AA", "AA"]
        assert answers[1][2] == "rejected: internal error"
        assert listening.hospital.find("2") is None
        assert listening.quarantine == ["internal error"]
        assert listening.told.errors == [fault]
        eventually(lambda: len(listening.told.settled) == 4, "the commits to be told of")
        assert [one.arrival.checked for one in listening.told.settled] == [(), (Finding("not_checked"),), (), ()]


def test_what_could_not_be_handed_on_is_answered_all_the_same(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Listening(sqlite_url, validation="enforce", checker=Script()) as listening, listening.wire() as wire:
        submit, faults = listening.ingest.submit, [MemoryError()]

        def failing(arrivals: Sequence[Arrival]) -> None:
            if faults:
                raise faults.pop()
            submit(arrivals)

        monkeypatch.setattr(listening.ingest, "submit", failing)
        wire.send(good(1), good(2))
        assert {msa(wire.receive())[:2] for _ in range(2)} >= {("AE", "G1")}
        eventually(lambda: listening.told.errors, "the fault to be told of")
        assert [type(error) for error in listening.told.errors] == [MemoryError]
        assert msa(wire.exchange(good(3)))[0] == "AA"


def test_a_process_that_rests_is_waited_for(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hl7_listener.conformance_judge._PAUSE", 0.01)
    checker = Script(*[CheckFailed("resting")] * 3)
    with Listening(sqlite_url, validation="enforce", checker=checker) as listening, listening.wire() as wire:
        assert msa(wire.exchange(good(1)))[0] == "AA"


def test_a_message_that_is_too_large_to_check_is_refused(sqlite_url: str) -> None:
    large = good(1) + b"NTE|1||" + b"x" * MOST_BYTES + b"\r"
    with Listening(sqlite_url, validation="enforce", checker=Script()) as listening, listening.wire() as wire:
        assert msa(wire.exchange(large))[2] == "rejected: not conformant: too_large_to_check"


def test_a_stop_in_the_middle_of_a_check_acknowledges_nothing(sqlite_url: str) -> None:
    checker = Script(None)
    with Listening(sqlite_url, validation="enforce", checker=checker) as listening, listening.wire() as wire:
        wire.send(good(1), good(2))
        assert checker.busy.wait(60)
        assert not listening.gate.stop(0)
        for connection in tuple(listening.listener._connections):
            listening.in_loop(connection.abort)
        assert wire.remaining() == []
        listening.gate._thread.join(60)
        listening.ingest.stop()  # whatever was handed on is in the journal now
        assert listening.rows("journal") == []

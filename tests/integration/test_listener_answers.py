"""Which answer a message gets over the wire, and what of it is repeated byte for byte."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from hl7_listener.adt import interpret
from hl7_listener.arrival import INTERNAL_ERROR
from hl7_listener.batch import Batch
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import msa
from tests.support.patience import eventually


@pytest.fixture
def listening(sqlite_url: str) -> Iterator[Listening]:
    with Listening(sqlite_url) as listening:
        yield listening


def fields(answer: bytes, segment: str = "MSH") -> list[str]:
    """Give the fields of a segment of an answer; MSH-n is at n - 1."""
    return next(line for line in answer.decode().split("\r") if line.startswith(segment)).split("|")


# ---- enhanced mode ---------------------------------------------------------------------------------------------------

SUCCESS, FAILURE = "AL SU", "AL ER"
COMBINATIONS = [
    (accept, application) for accept in ("", "AL", "ER", "SU", "NE") for application in ("", "AL", "ER", "NE")
]


def modes(accept: str, application: str) -> str:
    """Give MSH-13 to MSH-16."""
    return f"|||{accept}|{application}"


def wanted(accept: str, application: str, *, good: bool) -> list[str]:
    """Say what SPEC 3.3 asks for, written here once more: one answer, the accept acknowledgment going first."""
    if not accept and not application:
        return ["AA" if good else "AE"]
    asked = SUCCESS if good else FAILURE
    if accept and accept in asked:
        return ["CA" if good else "CE"]
    if application and application in asked:
        return ["AA" if good else "AE"]
    return []


@pytest.mark.parametrize(("accept", "application"), COMBINATIONS)
def test_msh_15_and_16_decide_which_answer_comes(listening: Listening, accept: str, application: str) -> None:
    header = modes(accept, application)
    good, bad = a28(1, "GOOD", header=header), a28("", "BAD", header=header)
    with listening.wire() as wire:
        wire.send(good, bad, a28(2, "LAST"))
        answers = []
        while (answer := msa(wire.receive())[:2])[1] != "LAST":
            answers.append(answer)
    assert [code for code, control_id in answers if control_id == "GOOD"] == wanted(accept, application, good=True)
    assert [code for code, control_id in answers if control_id == "BAD"] == wanted(accept, application, good=False)
    assert listening.outcomes == ["applied", "rejected", "applied"]


def test_silence_is_broken_where_the_listener_always_acknowledges(sqlite_url: str) -> None:
    with Listening(sqlite_url, always_acknowledge=True) as listening, listening.wire() as wire:
        assert msa(wire.exchange(a28(1, header=modes("NE", "NE"))))[0] == "AA"


def test_asked_for_both_and_told_to_two_answers_come(sqlite_url: str) -> None:
    with Listening(sqlite_url, both_acknowledgments=True) as listening, listening.wire() as wire:
        message = a28(1, header=modes("AL", "AL"))
        wire.send(message)
        first, second = wire.receive(), wire.receive()
        assert [msa(first)[:2], msa(second)[:2]] == [("CA", "1-A28"), ("AA", "1-A28")]
        assert fields(first)[9] != fields(second)[9]
        wire.send(message)
        assert [wire.receive(), wire.receive()] == [first, second]


def test_a_message_that_asked_for_silence_is_applied_once_however_often_it_comes(listening: Listening) -> None:
    with listening.wire() as wire:
        silent = a28(1, header=modes("NE", "NE"))
        wire.send(silent, silent, a28(2))
        assert msa(wire.receive())[1] == "2-A28"
    assert [row["repeats"] for row in listening.rows("journal")] == [1, 0]


def test_an_acknowledgment_is_never_answered(listening: Listening) -> None:
    with listening.wire() as wire:
        answer = wire.exchange(a28(1))
        wire.send(answer, a28(2))
        assert msa(wire.receive())[1] == "2-A28"
    assert listening.outcomes == ["applied", "ignored", "applied"]
    assert listening.quarantine == []


# ---- what is repeated ------------------------------------------------------------------------------------------------


CONTROL_IDS = ["A B", " lead", "a^b&c~d", "ünï", "0" * 199, "x" * 5000, '""', "\\F\\", "A\0B", "A\nB"]


def test_msa_2_is_the_control_id_byte_for_byte(database_url: str) -> None:
    with Listening(database_url) as listening, listening.wire() as wire:
        for control_id in CONTROL_IDS:
            message = a28(1, control_id)
            first = wire.exchange(message)
            assert fields(first, "MSA")[1:3] == ["AA", control_id]
            assert wire.exchange(message) == first


def test_no_byte_in_a_header_stops_the_feed(database_url: str) -> None:
    """NUL is no text to PostgreSQL, and a long text is no key: one such message must not look like a full disk."""
    with Listening(database_url) as listening, listening.wire() as wire:
        for place in (b"|PAS|", b"|RX1|doorstep", b"|doorstep|", b"ADT^A28"):
            for poison in (b"\0", b"\x7f", b"\xff\xfe", b"\x1b[31m", b"L" * 20_000):
                poisoned = a28(1).replace(place, place[:-1] + poison + place[-1:], 1)
                assert msa(wire.exchange(poisoned))[0] in {"AA", "AE"}
        assert msa(wire.exchange(a28(2)))[0] == "AA"
        assert all(len(row["sender"]) <= 200 and row["sender"].isprintable() for row in listening.rows("journal"))


def test_every_answer_has_a_control_id_of_its_own(listening: Listening) -> None:
    with listening.wire() as one, listening.wire() as other:
        for wire, first in ((one, 0), (other, 100)):
            wire.send(*(a28(first + number) for number in range(60)))
        answers = [wire.receive() for wire in (one, other) for _ in range(60)]
    assert len({fields(answer)[9] for answer in answers}) == 120


@pytest.mark.parametrize(
    ("version", "has"), [("2.3", False), ("2.4", False), ("2.5", True), ("2.8", True), ("", False)]
)
def test_err_comes_from_2_5_on_and_holds_no_content(listening: Listening, version: str, *, has: bool) -> None:
    with listening.wire() as wire:
        answer = wire.exchange(a28("", version=version, family="Kanarienvogel"))
    assert msa(answer)[0] == "AE"
    assert (b"\rERR|" in answer) == has
    assert b"Kanarienvogel" not in answer
    if has:
        assert fields(answer, "ERR")[2:4] == ["PID^1^3", "101^Required field missing^HL70357"]


@pytest.mark.parametrize("between", ["", " ", "|"])
def test_a_header_that_runs_on_into_the_patient_repeats_nothing_of_them(listening: Listening, between: str) -> None:
    """Terminators were lost on the way, so MSH-12 or MSH-18 holds what belongs to PID."""
    for header in ("MSH|^~\\&|A|B|C|D|2026||ADT^A28|1", "MSH|^~\\&|A|B|C|D|2026||ADT^A28|1|P|2.5"):
        collapsed = f"{header}{between}PID|1|Kana|Kanb|Kanc|Kand^Kane||19610523|F|Kanf"
        with listening.wire() as wire:
            answer = wire.exchange(collapsed.encode())
        assert b"Kan" not in answer
        assert b"19610523" not in answer


# ---- duplicates ------------------------------------------------------------------------------------------------------


def test_the_same_id_with_another_body_is_applied_and_flagged(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.exchange(a28(1, "SAME"))
        assert msa(wire.exchange(a28(1, "SAME", family="Other")))[0] == "AA"
    assert listening.outcomes == ["applied", "applied"]
    assert "control_id_reused:MSH-10" in listening.rows("journal")[1]["findings"]
    record = listening.hospital.find("1")
    assert record is not None
    assert record.demographics.names[0].family == "Other"


def test_the_same_message_of_another_sender_is_another_message(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.exchange(a28(1, "SAME"))
        wire.exchange(a28(1, "SAME", sender="LIMS"))
    assert listening.outcomes == ["applied", "applied"]
    assert [row["findings"] for row in listening.rows("journal")] == ["", ""]


def test_a_message_that_was_refused_is_judged_anew(listening: Listening) -> None:
    update = a28(1, event="A31").replace(b"Testperson^Tess", b"")
    with listening.wire() as wire:
        assert msa(wire.exchange(update))[0] == "AE"  # nobody to update, no name to make somebody of
        assert msa(wire.exchange(a28(1)))[0] == "AA"
        assert msa(wire.exchange(update))[0] == "AA"
    assert listening.outcomes == ["rejected", "applied", "applied"]


def test_without_a_control_id_the_body_tells_a_duplicate(listening: Listening) -> None:
    with listening.wire() as wire:
        first = wire.exchange(a28(1, ""))
        assert msa(first)[:2] == ("AA", "")
        assert wire.exchange(a28(1, "")) == first
        assert wire.exchange(a28(2, "")) != first
    assert [row["repeats"] for row in listening.rows("journal")] == [1, 0]


# ---- held ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("held", ["AA", "AE"])
def test_identifiers_of_two_people_are_held_and_answered_as_configured(sqlite_url: str, held: str) -> None:
    with Listening(sqlite_url, held=held) as listening, listening.wire() as wire:
        wire.exchange(a28(1))
        wire.exchange(a28(2))
        both = a28(1, "BOTH", family="Nobody").replace(b"1^^^RX1^MR", b"1^^^RX1^MR~2^^^RX1^MR")
        assert msa(wire.exchange(both)) == (held, "BOTH", "held: ambiguous identifiers")
        record = listening.hospital.find("1")
        assert record is not None
        assert record.demographics.names[0].family == "Testperson"
        assert listening.quarantine == ["ambiguous identifiers"]
        wire.exchange(both)  # a held AA is a duplicate, a held AE is judged anew
        assert len(listening.quarantine) == (1 if held == "AA" else 2)


@pytest.mark.parametrize(("status", "passes"), [("01", True), ("02", False), ("", False)])
def test_verify_status_lets_only_verified_numbers_pass(sqlite_url: str, status: str, *, passes: bool) -> None:
    number = f"9990000018^^^NHS^NH{{status:{status}}}" if status else "9990000018^^^NHS^NH"
    message = a28(1).replace(b"1^^^RX1^MR", f"{number}~1^^^RX1^MR".encode())
    with Listening(sqlite_url, verify_status=True) as listening, listening.wire() as wire:
        assert msa(wire.exchange(message))[2].startswith("applied" if passes else "held")
        assert (listening.hospital.find("1") is not None) == passes


def test_the_status_of_a_number_in_pid_3_counts_where_a_merge_names_people_by_pid_2(sqlite_url: str) -> None:
    one, two = (b"999000%s^^^NHS^NH{status:01}~%d^^^RX1^MR" % pair for pair in ((b"0018", 1), (b"0026", 2)))
    merge = (
        b"MSH|^~\\&|PAS|RX1|doorstep|RX1|20260306101500||ADT^A39^ADT_A39|M|P|2.3.1\rEVN|A39|20260306101500\r"
        b"PID|1|2^^^RX1^MR|%b||Testperson^Tess||19801210|F\rMRG|1^^^RX1^MR|||1^^^RX1^MR\r" % two
    )
    with Listening(sqlite_url, verify_status=True) as listening, listening.wire() as wire:
        wire.exchange(a28(1).replace(b"1^^^RX1^MR", one))
        wire.exchange(a28(2).replace(b"2^^^RX1^MR", two))
        assert msa(wire.exchange(merge))[2].startswith("applied")
        survivor = listening.hospital.find("2")
        assert survivor is not None
        assert listening.hospital.find("1") == survivor


# ---- our own faults --------------------------------------------------------------------------------------------------


def test_a_message_that_our_code_fails_over_is_kept_and_the_rest_of_its_batch_is_applied(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = Batch._decide

    def failing(batch: Batch, arrival: Any, *rest: Any) -> Any:
        if arrival.header.control_id == "POISON" and arrival.meaning is not INTERNAL_ERROR:
            raise ZeroDivisionError
        return decide(batch, arrival, *rest)

    monkeypatch.setattr(Batch, "_decide", failing)
    with listening.wire() as wire, listening.wire() as other:
        with listening.held():
            wire.send(a28(1), a28(2, "POISON"), a28(3))
            other.send(a28(4))
            eventually(lambda: listening.told.counts["received"] > 4 * 200, "all four")
        assert [msa(wire.receive())[:2] for _ in range(3)] == [("AA", "1-A28"), ("AE", "POISON"), ("AA", "3-A28")]
        assert msa(other.receive())[0] == "AA"
    assert listening.quarantine == ["internal error"]
    assert [type(error) for error in listening.told.errors].count(ZeroDivisionError) >= 1
    assert sorted(listening.outcomes) == ["applied", "applied", "applied", "rejected"]


def test_a_message_that_cannot_even_be_understood_for_a_fault_of_ours_is_kept_too(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(message: Any, *rest: Any) -> Any:
        if message.header.control_id == "POISON":
            raise RecursionError
        return interpret(message, *rest)

    monkeypatch.setattr("hl7_listener.interpreter.interpret", failing)
    with listening.wire() as wire:
        wire.send(a28(1), a28(2, "POISON"), a28(3))
        assert [msa(wire.receive())[0] for _ in range(3)] == ["AA", "AE", "AA"]
    assert listening.quarantine == ["internal error"]


# ---- order -----------------------------------------------------------------------------------------------------------


def test_one_connection_s_messages_are_applied_in_their_order(listening: Listening) -> None:
    versions = [a28(1, f"M{n}", event="A31" if n else "A28", family=f"Name{n}") for n in range(200)]
    with listening.wire() as wire:
        wire.send(*versions)
        assert [msa(wire.receive())[1] for _ in versions] == [f"M{n}" for n in range(200)]
    record = listening.hospital.find("1")
    assert record is not None
    assert record.demographics.names[0].family == "Name199"
    assert [row["control_id"] for row in listening.rows("journal")] == [f"M{n}" for n in range(200)]


def test_one_patient_s_messages_over_many_connections_end_in_the_newest_event(listening: Listening) -> None:
    """Each connection keeps its own order, and between them the time of the event decides."""
    connections, each = 8, 25
    with listening.wire() as wire:
        wire.exchange(a28(1, at="20250101000000+0000"))

    def talk(lane: int) -> None:
        with listening.wire() as wire:
            for turn in range(each):
                minute = turn * connections + lane
                at = f"20250601{minute // 60:02}{minute % 60:02}00+0000"
                assert msa(wire.exchange(a28(1, f"{lane}-{turn}", event="A31", at=at, family=f"N{minute}")))[0] == "AA"

    talkers = [threading.Thread(target=talk, args=(lane,)) for lane in range(connections)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    record = listening.hospital.find("1")
    assert record is not None
    assert record.demographics.names[0].family == f"N{connections * each - 1}"
    assert set(listening.outcomes) <= {"applied", "stale"}
    assert len(listening.outcomes) == 1 + connections * each


def test_a_stale_message_changes_no_demographics_but_brings_death(listening: Listening) -> None:
    with listening.wire() as wire:
        wire.exchange(a28(1, at="20250601120000+0000"))
        late = a28(1, "LATE", event="A31", at="20250601115959+0000", family="Old", tail="|" * 15 + "|Y")
        assert msa(wire.exchange(late))[2] == "stale"
        same = a28(1, "SAME", event="A31", at="20250601130000+0100", family="Equal")
        assert msa(wire.exchange(same))[2] == "applied"
    record = listening.hospital.find("1")
    assert record is not None
    assert record.demographics.names[0].family == "Equal"
    assert record.demographics.death is not None

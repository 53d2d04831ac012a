"""Batches in one frame over a real socket: committed together, answered one by one or as one."""

from __future__ import annotations

from typing import Any

import pytest

from hl7_listener.batch_frame import MOST_IN_BATCH
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import msa
from tests.support.patience import eventually

BHS = b"BHS|^~\\&|PAS|RX1|doorstep|RX1|20260101||||B7\r"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    return found


def batch(*messages: bytes, count: int | None = None) -> bytes:
    return BHS + b"".join(messages) + b"BTS|%d\r" % (len(messages) if count is None else count)


def lines(answer: bytes) -> list[str]:
    return answer.decode().rstrip("\r").split("\r")


def test_each_message_of_a_batch_is_answered_in_order_and_all_in_one_commit(url: str) -> None:
    with Listening(url) as listening, listening.wire() as wire:
        wire.send(batch(*(a28(n) for n in range(600))))  # more than a commit takes of single messages
        answers = [msa(wire.receive())[:2] for _ in range(600)]
        assert answers == [("AA", f"{n}-A28") for n in range(600)]
        eventually(lambda: listening.told.counts["batches"], "the commit to be counted")
        assert listening.told.counts["batches"] == 1
        assert listening.rows("journal")[5]["control_id"] == "5-A28"
        assert msa(wire.exchange(a28(601)))[0] == "AA"


def test_a_fault_in_one_message_is_that_message_s(url: str) -> None:
    nameless = a28(2, family="").replace(b"^Tess", b"")
    with Listening(url) as listening, listening.wire() as wire:
        wire.send(batch(a28(1), nameless, a28(3, version="9.9"), a28(4)))
        assert [msa(wire.receive())[0] for _ in range(4)] == ["AA", "AE", "AR", "AA"]
        assert listening.outcomes == ["applied", "rejected", "rejected", "applied"]
        assert len(listening.quarantine) == 2


def test_a_batch_that_lost_a_message_is_applied_in_no_part_and_kept_in_all(url: str) -> None:
    with Listening(url) as listening, listening.wire() as wire:
        wire.send(batch(a28(1), a28(2), count=3))
        for person in (1, 2):
            code, control_id, text = msa(wire.receive())
            assert (code, control_id) == ("AE", f"{person}-A28")
            assert text.startswith("rejected: batch count")
        assert listening.hospital.find("1") is None
        assert len(listening.quarantine) == 2
        wire.send(batch(a28(1), a28(2), a28(3)))  # whole, this time
        assert [msa(wire.receive())[0] for _ in range(3)] == ["AA"] * 3


def test_one_answer_to_a_batch(url: str) -> None:
    with Listening(url, batch_acknowledgment=True) as listening, listening.wire() as wire:
        wire.send(batch(a28(1), a28(2, version="9.9"), a28(3)), a28(4))
        answer = lines(wire.receive())
        opening = answer[0].split("|")
        assert opening[:6] == ["BHS", "^~\\&", "doorstep", "RX1", "PAS", "RX1"]
        assert opening[11] == "B7"
        assert [line.split("|")[1:3] for line in answer if line.startswith("MSA")] == [
            ["AA", "1-A28"],
            ["AR", "2-A28"],
            ["AA", "3-A28"],
        ]
        assert answer[-1] == "BTS|3"
        assert msa(wire.receive())[:2] == ("AA", "4-A28")
        wire.send(batch(a28(1), a28(2, version="9.9"), a28(3)))  # sent again: the same answers in a new envelope
        again = lines(wire.receive())
        assert [line for line in again if "AA" in line] == [line for line in answer if "AA" in line]
        assert again[0] != answer[0]


def test_a_file_of_batches_is_answered_by_a_file_of_batches(sqlite_url: str) -> None:
    payload = b"FHS|^~\\&|PAS\r" + batch(a28(1), a28(2)) + batch(a28(3)) + b"FTS|2\r"
    with Listening(sqlite_url, batch_acknowledgment=True) as listening, listening.wire() as wire:
        answer = lines(wire.exchange(payload))
        shape = [line[:3] for line in answer if line[:3] != "MSH"]
        assert shape == ["FHS", "BHS", "MSA", "MSA", "BTS", "BHS", "MSA", "BTS", "FTS"]
        assert [line for line in answer if line[1:3] == "TS"] == ["BTS|2", "BTS|1", "FTS|2"]


def test_where_messages_ask_for_silence_a_batch_s_answer_has_none_of_them(sqlite_url: str) -> None:
    silent = "|||NE|NE"
    with Listening(sqlite_url, batch_acknowledgment=True) as listening, listening.wire() as wire:
        wire.send(batch(a28(1, header=silent), a28(2)), batch(a28(3, header=silent)), a28(4))
        assert lines(wire.receive())[-1] == "BTS|1"
        assert msa(wire.receive())[1] == "4-A28"  # all of the second batch asked for silence


@pytest.mark.parametrize("one", [True, False])
def test_a_batch_of_nothing_is_answered(sqlite_url: str, *, one: bool) -> None:
    with Listening(sqlite_url, batch_acknowledgment=one) as listening, listening.wire() as wire:
        answer = wire.exchange(batch())
        if one:
            assert [line[:3] for line in lines(answer)] == ["BHS", "BTS"]
        else:
            assert msa(answer) == ("AA", "B7", "ignored: empty batch")
        assert listening.outcomes == ["ignored"]


@pytest.mark.parametrize("one", [True, False])
def test_a_batch_of_too_many_is_refused_as_one(sqlite_url: str, *, one: bool) -> None:
    with Listening(sqlite_url, batch_acknowledgment=one) as listening, listening.wire() as wire:
        answer = wire.exchange(BHS + b"MSH|^~\\&|\r" * (MOST_IN_BATCH + 1))
        assert msa(answer)[:2] == ("AR", "B7")
        assert listening.quarantine == ["too many messages"]


def test_a_batch_that_cannot_be_stored_gets_no_answer_in_any_part(sqlite_url: str) -> None:
    with Listening(sqlite_url, batch_acknowledgment=True) as listening, listening.wire() as wire:
        listening.broken.set()
        wire.send(batch(a28(1), a28(2)))
        assert wire.remaining() == []
        listening.broken.clear()
        with listening.wire() as again:
            assert lines(again.exchange(batch(a28(1), a28(2))))[-1] == "BTS|2"


def test_a_batch_that_cannot_be_stored_is_refused_as_one_where_that_is_asked_for(sqlite_url: str) -> None:
    asked: dict[str, Any] = {"batch_acknowledgment": True, "on_storage_failure": "AE"}
    with Listening(sqlite_url, **asked) as listening, listening.wire() as wire:
        listening.broken.set()
        answer = lines(wire.exchange(batch(a28(1), a28(2))))
        assert [line.split("|")[1] for line in answer if line.startswith("MSA")] == ["AE", "AE"]
        listening.broken.clear()

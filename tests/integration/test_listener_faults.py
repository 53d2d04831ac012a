"""Faults of ours, and messages that storage does not take: one message's or one connection's trouble, nobody else's."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace as changed
from sqlalchemy import update

from hl7_listener.acknowledgment import AckCode
from hl7_listener.arrival import Arrival, Refused, Settled
from hl7_listener.batch import Batch
from hl7_listener.connection import Connection
from hl7_listener.not_stored import not_stored
from patient_records import tables
from patient_records.errors import KeyFault, SealBroken, StorageConflict
from tests.support.feed import a28
from tests.support.hospital import Hospital
from tests.support.listening import Listening
from tests.support.mllp import Wire, msa
from tests.support.patience import eventually

POISON = "66"


def poisonous(error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have each transaction with that person's message in it fail, unless nothing of it is applied; count them."""
    attempts: list[int] = []
    settle = Batch.settle

    def failing(self: Batch, arrivals: Sequence[Arrival]) -> list[Settled]:
        if any(one.control_id.startswith(POISON) and not isinstance(one.meaning, Refused) for one in arrivals):
            attempts.append(len(arrivals))
            raise error
        return settle(self, arrivals)

    monkeypatch.setattr(Batch, "settle", failing)
    return attempts


@pytest.mark.parametrize("error", [StorageConflict("23505"), SealBroken("patient_records"), ValueError("ours")])
def test_one_message_that_cannot_be_stored_is_kept_and_answered_and_the_others_go_on(
    sqlite_url: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = poisonous(error, monkeypatch)
    with Listening(sqlite_url) as listening, contextlib.ExitStack() as open_ones:
        first, good, bad = (open_ones.enter_context(listening.wire()) for _ in range(3))
        with listening.held():
            first.send(a28("first"))  # the writer holds this one, so that all others are a batch
            eventually(lambda: not listening.ingest.working(0.0), "the writer to be in a transaction")
            good.send(*[a28(number) for number in range(20)])
            bad.send(a28(POISON), a28(67))
            eventually(lambda: listening.ingest.backlog == 22, "a batch of all")
        assert [msa(good.receive())[0] for _ in range(20)] == ["AA"] * 20
        assert msa(bad.receive()) == ("AE", f"{POISON}-A28", "rejected: internal error")
        assert msa(bad.receive())[0] == "AA"
        assert listening.quarantine == ["internal error"]
        assert sorted(listening.outcomes) == ["applied"] * 22 + ["rejected"]
        assert listening.healthy()
        assert max(attempts) > 1  # it was in company


def test_a_repeat_whose_first_answer_does_not_open_is_kept_and_not_applied_again(database_url: str) -> None:
    with Listening(database_url) as listening, listening.wire() as wire:
        assert msa(wire.exchange(a28(1)))[0] == "AA"
        with listening.hospital.database.begin() as connection:
            connection.execute(update(tables.journal).values(sealed_acknowledgment=b"\x01" + bytes(40)))
        assert msa(wire.exchange(a28(1))) == ("AE", "1-A28", "rejected: internal error")
        assert listening.quarantine == ["internal error"]
        record = listening.hospital.find("1")
        assert record is not None
        assert record.version == 1


def test_a_missing_key_is_still_no_verdict_on_a_message(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    poisonous(KeyFault("k1"), monkeypatch)
    with Listening(sqlite_url) as listening, listening.wire() as bad, listening.wire() as good:
        bad.send(a28(POISON))
        assert bad.remaining() == []
        assert msa(good.exchange(a28(1)))[0] == "AA"
        assert listening.quarantine == []


def test_telemetry_that_fails_costs_nobody_an_answer(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:

        def failing(*_given: Any) -> None:
            raise MemoryError

        for name in ("committed", "received", "connected", "skipped"):
            setattr(listening.told, name, failing)
        assert msa(wire.exchange(a28(1)))[0] == "AA"
        with listening.wire() as other:
            other.write(b"\r\n")
            assert msa(other.exchange(a28(2)))[0] == "AA"
        assert listening.ingest.working()
        assert {type(error) for error in listening.told.errors} == {MemoryError}


@pytest.mark.parametrize("policy", ["close", "AE"])
def test_a_connection_that_fails_at_its_answer_is_closed_and_the_others_have_theirs(
    sqlite_url: str, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = Connection.settled

    def failing(self: Connection, one: Settled) -> None:
        if one.arrival.control_id.startswith(POISON):
            raise MemoryError
        settled(self, one)

    monkeypatch.setattr(Connection, "settled", failing)
    with Listening(sqlite_url, on_storage_failure=policy) as listening, listening.wire() as bad:
        first, *others = [listening.wire() for _ in range(5)]
        with listening.held():
            first.send(a28("first"))
            eventually(lambda: not listening.ingest.working(0.0), "the writer to be in a transaction")
            bad.send(a28(POISON), a28(POISON + "1"))
            for number, other in enumerate(others):
                other.send(a28(number))
            eventually(lambda: listening.ingest.backlog == 6, "a batch of all")
        assert [msa(other.receive())[0] for other in others] == ["AA"] * 4
        assert bad.remaining() == []
        assert {type(error) for error in listening.told.errors} == {MemoryError}
        for other in (first, *others):
            other.socket.close()
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 0, "the end")
        budget = listening.listener._budget
        assert listening.in_loop(lambda: (budget.held, budget.queued)) == (0, 0)


@pytest.mark.parametrize("error", [MemoryError(), SystemExit(1)])
def test_the_writer_outlives_what_is_raised_in_it(
    sqlite_url: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listening(sqlite_url) as listening:
        commit = listening.ingest._commit

        def failing(batch: list[Arrival]) -> None:
            if batch and batch[0].control_id.startswith(POISON):
                commit(batch)
                raise error
            commit(batch)

        monkeypatch.setattr(listening.ingest, "_commit", failing)
        with listening.wire() as bad, listening.wire() as good:
            bad.send(a28(POISON))
            assert len(bad.remaining()) <= 1  # answered or not: the connection goes, and the sender asks again
            assert msa(good.exchange(a28(1)))[0] == "AA"
        assert listening.ingest.working()
        assert listening.told.errors == [error]
        eventually(lambda: listening.in_loop(lambda: listening.listener.connections) == 0, "the end")
        budget = listening.listener._budget
        assert listening.in_loop(lambda: (budget.held, budget.queued)) == (0, 0)


def test_a_stuck_writer_is_not_working_and_no_probe_makes_it_well(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        assert listening.ingest.working(0.0)
        with listening.held():
            wire.send(a28(1))
            eventually(lambda: not listening.ingest.working(0.0), "the writer to be in a transaction")
            assert listening.ingest.working()
            assert not listening.ingest.stop(0.0)
        assert msa(wire.receive())[0] == "AA"
        assert listening.ingest.stop()
        listening.ingest.healthy = False
        listening.ingest.probed()
        assert not listening.healthy()


def test_a_probe_that_succeeds_makes_it_well(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening:
        listening.ingest.healthy = False
        listening.ingest.probed()
        assert listening.healthy()


def test_a_connection_accepted_while_the_listener_drains_is_drained_too(sqlite_url: str) -> None:
    with Listening(sqlite_url) as listening:
        listening.listener.draining = True  # the port closes a moment later
        with Wire(listening.port) as late:
            assert late.remaining() == []


def test_a_nak_of_our_own_has_an_id_that_fits(sqlite_url: str) -> None:
    hospital = Hospital(sqlite_url)
    arrival = hospital._arrival(a28(1), hospital.listener.organisation)
    arrival = changed(arrival, listener=changed(hospital.listener, on_storage_failure="AE"))
    answers = [not_stored(arrival, arrival.received_at) or b"" for _ in range(100)]
    ids = {answer.split(b"|")[9] for answer in answers}
    assert len(ids) == 100
    assert max(map(len, ids)) <= 20
    assert msa(answers[0][1:])[2] == "outcome not known, send it again"
    assert msa(answers[0][1:])[0] == AckCode.AE
    hospital.close()

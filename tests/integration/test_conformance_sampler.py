"""From a committed batch to the sender's report, on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from hl7_listener.conformance_process import CheckFailed
from hl7_listener.conformance_sampler import ConformanceSampler, SamplerCounts
from hl7_listener.finding import MOST_BYTES, Finding
from patient_records import findings
from patient_records.findings import FindingCount
from patient_records.instants import to_micros
from patient_records.tables import metadata
from patient_records.unit_of_work import Database
from tests.support.settled import FAULTY, GOOD, RECEIVED, settled

PATIENT = timedelta(seconds=120)
AT = to_micros(RECEIVED)


class StandIn:
    """A checker that answers as told: findings, an error, or (None) nothing until it is ended."""

    def __init__(self, *answers: tuple[Finding, ...] | Exception | None) -> None:
        self.answers = list(answers)
        self.starts = 0
        self.busy = threading.Event()
        self.ended = threading.Event()
        self.closed = False

    def check(self, raw: bytes, charset: str, profiles: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        del raw, charset, profiles
        answer = self.answers.pop(0)
        if answer is None:
            self.busy.set()
            self.ended.wait()
            raise CheckFailed("ended")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        self.ended.set()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    metadata.create_all(made.engine)
    yield made
    made.close()


@pytest.fixture
def errors() -> list[BaseException]:
    return []


@contextmanager
def sampler(database: Database, errors: list[BaseException], **given: Any) -> Iterator[ConformanceSampler]:
    """A running sampler, stopped (and so all stored) at the end."""
    made = ConformanceSampler(database, time.monotonic, errors.append, **given)
    made.start()
    yield made
    made.stop(PATIENT)


def stored(database: Database, sender: str | None = None) -> list[FindingCount]:
    with database.read() as connection:
        return findings.report(connection, sender)


PID3, PV1 = Finding("missing_required", "PID-3"), Finding("missing_required", "PV1")


def test_the_real_process_fills_the_senders_report(database: Database, errors: list[BaseException]) -> None:
    with sampler(database, errors) as running:
        running.offer([settled(FAULTY, 1), settled(GOOD, 2), settled(FAULTY.replace("PAS", "EPR"), 3)])
        running.offer([settled(FAULTY, 4)])
    assert stored(database) == [
        FindingCount("EPR/RX1", "missing_required", "PID-3", 1, AT, AT, 3),
        FindingCount("PAS/RX1", "missing_required", "PID-3", 2, AT, AT, 4),
    ]
    assert stored(database, "EPR/RX1") == stored(database)[:1]
    assert running.counts == SamplerCounts(checked=4, faulty=3, starts=1)
    assert not errors


def test_counts_are_added_to_what_is_stored(database: Database, errors: list[BaseException]) -> None:
    for journal_id in (1, 2, 3):
        with sampler(database, errors, checker=StandIn((PID3, PV1))) as running:
            running.offer([settled(journal_id=journal_id)])
    assert [(row.place, row.count, row.last_journal_id) for row in stored(database)] == [("PID-3", 3, 3), ("PV1", 3, 3)]


def test_findings_are_stored_while_it_runs(database: Database, errors: list[BaseException]) -> None:
    stand_in = StandIn((PID3,), None)
    running = ConformanceSampler(database, time.monotonic, errors.append, checker=stand_in, stored_every=timedelta(0))
    running.start()
    running.offer([settled(journal_id=1), settled(journal_id=2)])
    stand_in.busy.wait()
    assert len(stored(database)) == 1
    running.stop(timedelta(0))


def test_an_older_word_does_not_take_the_place_of_a_newer_one(database: Database) -> None:
    newer = FindingCount("PAS/RX1", "too_long", "PID-5", 1, 200, 300, 9)
    older = FindingCount("PAS/RX1", "too_long", "PID-5", 2, 100, 250, 8)
    for one in (newer, older):
        with database.begin() as connection:
            findings.add(connection, [one])
    assert stored(database) == [FindingCount("PAS/RX1", "too_long", "PID-5", 3, 100, 300, 9)]


def test_stop_ends_a_check_that_does_not_end(database: Database, errors: list[BaseException]) -> None:
    stand_in = StandIn((PID3,), None)
    running = ConformanceSampler(database, time.monotonic, errors.append, checker=stand_in)
    running.start()
    running.offer([settled(journal_id=n) for n in range(5)])
    stand_in.busy.wait()
    running.stop(timedelta(0))
    assert len(stored(database)) == 1
    assert running.counts == SamplerCounts(checked=1, faulty=1, not_checked=4)
    assert stand_in.closed
    running.offer([settled()])
    assert running.counts.not_checked == 5


def test_failed_checks_are_counted_and_only_slowness_is_the_senders(
    database: Database, errors: list[BaseException]
) -> None:
    stand_in = StandIn(CheckFailed("ended"), CheckFailed("resting"), CheckFailed("late"), ())
    gate = threading.Event()
    with sampler(database, errors, checker=stand_in) as running:
        running.offer([settled(journal_id=n) for n in (1, 2, 3, 4)])
        _until_checked(running, gate)
    assert [row.rule for row in stored(database)] == ["too_slow_to_check"]
    assert running.counts == SamplerCounts(checked=1, faulty=1, not_checked=1, abandoned=2)


def _until_checked(running: ConformanceSampler, gate: threading.Event) -> None:
    while not running.counts.checked:
        gate.wait(0.01)


def test_a_large_message_never_reaches_the_checker(database: Database, errors: list[BaseException]) -> None:
    with sampler(database, errors, checker=StandIn()) as running:
        running.offer([settled(GOOD + "NTE|1||" + "x" * MOST_BYTES)])
    assert [row.rule for row in stored(database)] == ["too_large_to_check"]


def test_when_storage_fails_findings_are_dropped_and_checks_go_on(
    database: Database, errors: list[BaseException]
) -> None:
    metadata.drop_all(database.engine)
    stand_in = StandIn((PID3, PV1), (PID3,), None)
    running = ConformanceSampler(database, time.monotonic, errors.append, checker=stand_in, stored_every=timedelta(0))
    running.start()
    running.offer([settled(journal_id=n) for n in (1, 2, 3)])
    stand_in.busy.wait()
    assert running.counts.dropped == 3
    metadata.create_all(database.engine)
    running.stop(timedelta(0))
    assert running.counts.checked == 2
    assert not errors


def test_a_fault_of_ours_is_told_and_checks_go_on(database: Database, errors: list[BaseException]) -> None:
    with sampler(database, errors, checker=StandIn(ValueError("a fault"), (PID3,))) as running:
        running.offer([settled(journal_id=1), settled(journal_id=2)])
    assert [str(error) for error in errors] == ["a fault"]
    assert len(stored(database)) == 1


def test_nothing_of_a_patient_is_in_the_report(database: Database, errors: list[BaseException]) -> None:
    canary = (
        FAULTY.replace("Lovelace^Ada", "CNRYLOVE^CNRYADA&CNRYSUB")
        .replace("|F|", "|CNRYSEX|")
        .replace("07700900123", "CNRYPHONE")
    )
    with sampler(database, errors) as running:
        running.offer([settled(canary + "CNR|CNRYLINE\r", 1), settled(canary.replace("EVN|", "EVN|CNRY&|"), 2)])
    rows = stored(database)
    assert rows
    assert "CNR" not in repr(rows)

"""Messages of one batch see each other, and a batch of many decides as many batches of one do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.feed import a28
from tests.support.hospital import Hospital

NHS = "9990000018^^^NHS^NH"
OTHER_NHS = "9990000026^^^NHS^NH"


@pytest.fixture
def hospital(sqlite_url: str) -> Iterator[Hospital]:
    hospital = Hospital(sqlite_url)
    yield hospital
    hospital.close()


def identified(person: str, control_id: str, *identifiers: str, **given: str) -> bytes:
    message = a28(person, control_id, **given)
    return message.replace(f"{person}^^^RX1^MR".encode(), "~".join(identifiers).encode(), 1)


def test_the_second_message_finds_whom_the_first_one_made(hospital: Hospital) -> None:
    first, second = hospital.send(a28(1), a28(1, event="A31", family="Second"))
    assert (first.changes, second.changes) == (("created",), ("names",))
    assert first.record_id == second.record_id
    record = hospital.find("1")
    assert record is not None
    assert record.version == 1  # stored once, as both left it


def test_a_repeat_finds_its_original_in_the_same_batch(hospital: Hospital) -> None:
    first, again = hospital.send(a28(1), a28(1))
    assert (again.outcome, again.answer, again.journal_id) == ("duplicate", first.answer, first.journal_id)


def test_people_made_in_one_batch_may_turn_out_ambiguous_in_it(hospital: Hospital) -> None:
    *_, both = hospital.send(a28(1), a28(2), identified("1", "BOTH", "1^^^RX1^MR", "2^^^RX1^MR"))
    assert both.outcome == "held"


def test_what_another_organisation_s_message_may_not_add_finds_nobody(hospital: Hospital) -> None:
    """Else who shares a batch with whom would decide who is who."""
    hospital.send(identified("1", "OURS", "1^^^RX1^MR", NHS))
    settled = hospital.send_as(
        ("RX2", identified("7", "THEIRS", "7^^^RX2^MR", NHS, OTHER_NHS)),
        ("RX1", identified("2", "NEW", "2^^^RX1^MR", OTHER_NHS)),
    )
    assert [one.changes for one in settled] == [("identifiers",), ("created",)]


@pytest.mark.parametrize("seed", range(5))
def test_a_batch_decides_as_its_messages_would_alone(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    numbers = ["1^^^RX1^MR", "2^^^RX1^MR", NHS, OTHER_NHS]
    messages = [
        identified(
            "0",
            f"M{dice.randrange(20)}",
            *dice.sample(numbers, dice.choice([1, 1, 2])),
            event=dice.choice(["A28", "A31"]),
            at=f"202506011200{dice.randrange(5):02}+0000",
            family=dice.choice(["One", "Two"]),
        )
        for _ in range(40)
    ]
    alone, together = Hospital(f"sqlite:///{tmp_path / 'alone.db'}"), Hospital(f"sqlite:///{tmp_path / 'together.db'}")
    try:
        one_by_one = [hospital_settled for message in messages for hospital_settled in alone.send(message)]
        at_once = together.send(*messages)
    finally:
        alone.close()
        together.close()
    assert [(one.outcome, one.changes, one.findings) for one in one_by_one] == [
        (one.outcome, one.changes, one.findings) for one in at_once
    ]

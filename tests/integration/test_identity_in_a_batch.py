"""Messages of one transaction find people exactly as messages of several do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select

from patient_records import tables
from tests.support.hospital import ANOTHER, ORGANISATION, Hospital

OURS = "9990000018"
THEIRS = "9990000026"


def message(control_id: str, identifiers: str, *, name: str = "Archer^Una") -> bytes:
    return (
        f"MSH|^~\\&|PAS|HOSP|DOORSTEP|RX1|20260301120000||ADT^A28^ADT_A05|{control_id}|P|2.5\r"
        f"PID|1||{identifiers}||{name}||19700101|F\r"
    ).encode()


FIRST = (ORGANISATION, message("1", f"{OURS}^^^NHS^NH~A1^^^{ORGANISATION}^MR"))
FROM_ELSEWHERE = (ANOTHER, message("2", f"{OURS}^^^NHS^NH~{THEIRS}^^^NHS^NH~B7^^^{ANOTHER}^MR"))
THE_OTHER_NUMBER = (ORGANISATION, message("3", f"{THEIRS}^^^NHS^NH~A2^^^{ORGANISATION}^MR", name="Bowman^Kit"))


@pytest.fixture
def hospital(database_url: str) -> Iterator[Hospital]:
    made = Hospital(database_url)
    yield made
    made.close()


@pytest.mark.parametrize("together", [True, False], ids=["one_batch", "three_batches"])
def test_a_number_that_the_record_did_not_take_finds_nobody(hospital: Hospital, *, together: bool) -> None:
    story = (FIRST, FROM_ELSEWHERE, THE_OTHER_NUMBER)
    steps = [story] if together else [(step,) for step in story]
    settled = [done for step in steps for done in hospital.send_as(*step)]
    assert [str(done.outcome) for done in settled] == ["applied"] * 3
    assert settled[0].record_id == settled[1].record_id != settled[2].record_id
    other = hospital.find(THEIRS)
    assert other is not None
    assert other.id == settled[2].record_id


@pytest.mark.parametrize("together", [True, False], ids=["one_batch", "two_batches"])
def test_a_person_made_in_the_batch_is_found_in_it(hospital: Hospital, *, together: bool) -> None:
    later = (ORGANISATION, message("4", f"A1^^^{ORGANISATION}^MR", name="Archer^Una^Mary"))
    steps = [(FIRST, later)] if together else [(FIRST,), (later,)]
    settled = [done for step in steps for done in hospital.send_as(*step)]
    assert settled[0].record_id == settled[1].record_id
    assert settled[1].changes == ("names",)


def test_two_spellings_of_one_number_are_one(hospital: Hospital) -> None:
    lower = (ORGANISATION, message("5", f"ab1^^^{ORGANISATION}^MR"))
    upper = (ORGANISATION, message("6", f"AB1^^^{ORGANISATION}^MR"))
    both = (ORGANISATION, message("7", f"zz9^^^{ORGANISATION}^MR~ZZ9^^^{ORGANISATION}^MR", name="Carver^Lee"))
    first, second, third = (hospital.send_as(step)[0] for step in (lower, upper, both))
    assert [str(done.outcome) for done in (first, second, third)] == ["applied"] * 3
    assert first.record_id == second.record_id != third.record_id


def test_the_same_message_reaches_each_organisation(hospital: Hospital) -> None:
    raw = message("8", f"{OURS}^^^NHS^NH~K1^^^PAS^MR")
    ours, theirs, again = hospital.send_as((ORGANISATION, raw), (ANOTHER, raw), (ANOTHER, raw))
    assert [str(done.outcome) for done in (ours, theirs, again)] == ["applied", "applied", "duplicate"]
    assert again.answer == theirs.answer != ours.answer


def test_labels_of_an_msh_out_of_shape_are_not_kept_in_clear(hospital: Hospital) -> None:
    lost_end = b"MSH|^~\\&|PAS|HOSP|DOORSTEP|RX1|20260301120000||ADT^A28|9|P|2.5PID|1||CANARY\r"
    short = b"MSH|^~\\&|PID|1||A1^^^RX1^MR||CANARY^UNA||CANARY|F\r"
    for done in hospital.send(lost_end, short):
        assert done.code in {"AE", "AR"}
        assert (done.arrival.sender, done.arrival.control_id, done.arrival.event) == ("", "", "")
        with hospital.database.read() as connection:
            row = connection.execute(select(tables.journal).where(tables.journal.c.id == done.journal_id)).one()
        assert not any(b"CANARY" in (value if isinstance(value, bytes) else str(value).encode()) for value in row)

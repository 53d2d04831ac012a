"""Messages of one transaction find people exactly as messages of several do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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

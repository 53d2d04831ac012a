from __future__ import annotations

import pytest

from hl7_listener import finding_tally
from hl7_listener.finding import FURTHER_FINDINGS, Finding
from hl7_listener.finding_tally import MOST_OF_A_SENDER, FindingTally
from patient_records.findings import FindingCount

MISSING = Finding("missing_required", "PID-3")


def test_the_same_finding_of_many_messages_is_one_row() -> None:
    tally = FindingTally()
    tally.add("PAS/RX1", 7, 100, [MISSING, MISSING])
    tally.add("PAS/RX1", 8, 200, [MISSING])
    tally.add("LAB/RX1", 9, 300, [MISSING])
    assert tally.taken() == [
        FindingCount("PAS/RX1", *_(MISSING), 2, 100, 200, 8),
        FindingCount("LAB/RX1", *_(MISSING), 1, 300, 300, 9),
    ]
    assert tally.taken() == []


def _(one: Finding) -> tuple[str, str]:
    return one.rule, one.place


def test_a_sender_has_so_many_rows_and_then_one_for_the_rest() -> None:
    tally = FindingTally()
    for n in range(2 * MOST_OF_A_SENDER):
        tally.add("PAS/RX1", n, n, [Finding("unknown_field", f"OBX-{n}")])
    rows = tally.taken()
    assert len(rows) == MOST_OF_A_SENDER
    assert (rows[-1].rule, rows[-1].count) == (FURTHER_FINDINGS, MOST_OF_A_SENDER + 1)
    tally.add("LAB/RX1", 1, 1, [MISSING])
    assert len(tally.taken()) == 1


def test_rows_that_the_table_has_already_count_against_the_bound() -> None:
    tally = FindingTally()
    tally.remember([("PAS/RX1", "unknown_field", f"OBX-{n}") for n in range(MOST_OF_A_SENDER)])
    tally.add("PAS/RX1", 1, 1, [Finding("unknown_field", "OBX-7"), MISSING])
    assert {row.rule for row in tally.taken()} == {"unknown_field", FURTHER_FINDINGS}


def test_all_senders_together_have_a_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding_tally, "MOST_OF_ALL", 10)
    tally = FindingTally()
    for n in range(30):
        tally.add(f"S{n}/RX1", n, n, [MISSING])
    assert (len(tally.taken()), tally.beyond) == (10, 20)

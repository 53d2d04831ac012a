"""A print house's return file, line by line."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.letter_returns import LineFault, read_returns
from invites.receipt import Receipt, ReceiptState

LONDON = ZoneInfo("Europe/London")
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ONE, TWO = "0123456789abcdef" * 2, "fedcba9876543210" * 2


def read(text: str | bytes) -> tuple[tuple[Receipt, ...], tuple[LineFault, ...]]:
    said = read_returns(text.encode() if isinstance(text, str) else text, "dropfolder", LONDON, NOW)
    return said.receipts, said.faults


@pytest.mark.parametrize(
    ("state", "means", "permanent"),
    [
        ("accepted", ReceiptState.SENT, False),
        ("Posted", ReceiptState.SENT, False),
        ("REJECTED", ReceiptState.FAILED, False),
        ("returned undelivered", ReceiptState.FAILED, True),
        ("returned_undelivered", ReceiptState.FAILED, True),
        ("Returned", ReceiptState.FAILED, True),
    ],
)
def test_a_state_is_a_receipt(state: str, means: ReceiptState, permanent: bool) -> None:  # noqa: FBT001
    [receipt], faults = read(f"reference,state,date\r\n{ONE},{state},2026-11-20\r\n")
    assert (receipt.provider, receipt.reference, receipt.state, receipt.permanent) == (
        "dropfolder", ONE, means, permanent,
    )  # fmt: skip
    assert receipt.at == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert faults == ()


def test_columns_come_in_any_order_and_case_with_others_between() -> None:
    receipts, faults = read(
        f'\ufeffDate, STATE ,x,Reference\n2026-06-20,posted,,{ONE.upper()}\n\n2026-06-20T09:00Z,posted,"a,b",{TWO}\n'
    )
    assert [receipt.reference for receipt in receipts] == [ONE, TWO]
    assert [receipt.at for receipt in receipts] == [
        datetime(2026, 6, 20, 11, tzinfo=UTC),
        datetime(2026, 6, 20, 9, tzinfo=UTC),
    ]
    assert faults == ()


def test_a_line_that_cannot_be_read_is_named_and_costs_no_other() -> None:
    lines = ["reference,state,date", f"{ONE},lost,2026-11-20", "Okafor,posted,2026-11-20", f"{ONE},posted,20/11/2026",
             f"{ONE},posted,2027-11-20", f"{ONE},posted,1999-11-20", f"{ONE},posted",
             f"{TWO},posted,2026-11-20"]  # fmt: skip
    receipts, faults = read("\n".join(lines))
    assert [receipt.reference for receipt in receipts] == [TWO]
    assert [fault.line for fault in faults] == [2, 3, 4, 5, 6, 7]
    assert "Okafor" not in str(faults)


def test_a_file_without_its_columns_is_one_fault() -> None:
    assert read("reference;state;date") == ((), (LineFault(1, "the header has no column reference, state, date"),))
    assert read("")[1][0].line == 1


def test_what_stops_being_csv_is_told_where() -> None:
    receipts, faults = read(f'reference,state,date\n{ONE},posted,2026-11-20\n"{TWO}" x,posted,2026-11-20\n')
    assert len(receipts) == 1
    assert faults[0].line == 3


@given(st.binary(max_size=300) | st.text(st.sampled_from('refnctsado,"\n0159-'), max_size=300).map(str.encode))
def test_no_bytes_break_it(content: bytes) -> None:
    read(content)
    read(b"reference,state,date\n" + content)

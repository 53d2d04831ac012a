from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from invites.receipt import UNREADABLE, Receipt, ReceiptState, Said, code_of, prevailing

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
LATER = AT + timedelta(hours=1)

SENT, DELIVERED = Said(ReceiptState.SENT, LATER), Said(ReceiptState.DELIVERED, AT)
FAILED_LATER = Said(ReceiptState.FAILED, LATER, permanent=True)
FAILED_FOR_NOW = Said(ReceiptState.FAILED, AT)


@pytest.mark.parametrize(
    ("said", "prevails"),
    [
        ([SENT], SENT),
        ([SENT, DELIVERED], DELIVERED),
        ([DELIVERED, FAILED_LATER, SENT], FAILED_LATER),
        ([FAILED_FOR_NOW, DELIVERED], DELIVERED),
        ([FAILED_FOR_NOW, SENT], FAILED_FOR_NOW),
        (
            [FAILED_FOR_NOW, Said(ReceiptState.FAILED, AT, permanent=True)],
            Said(ReceiptState.FAILED, AT, permanent=True),
        ),
    ],
)
def test_what_prevails_does_not_depend_on_the_order(said: list[Said], prevails: Said) -> None:
    assert {prevailing(order).rank for order in itertools.permutations(said)} == {prevails.rank}  # type: ignore[union-attr]


def test_nothing_said_is_nothing() -> None:
    assert prevailing([]) is None


@pytest.mark.parametrize("text", ["permanent-failure", "5.1.1", "", "NoSuchNumber"])
def test_a_code_stays_as_it_is(text: str) -> None:
    assert code_of(text) == text


@pytest.mark.parametrize("text", ["550 5.1.1 <ada@example.org>: no such user", "a" * 65, "x\ny", "ada@example.org"])
def test_prose_is_no_code(text: str) -> None:
    assert code_of(text) == UNREADABLE


@pytest.mark.parametrize(
    "given",
    [{}, {"reference": "r", "at": AT.replace(tzinfo=None)}, {"reference": "r", "permanent": True}],
)
def test_a_receipt_that_cannot_be_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"receipt|failure"):
        Receipt(**{"provider": "p", "state": ReceiptState.SENT, "at": AT, **given})  # type: ignore[arg-type]

"""Suppliers' calls are read by the fields that the hospital named, among them the suppliers in config/sms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from daemon.receiving import _fields
from daemon.settings import Settings
from invites.channels.gateway_receipts import receipts_of
from invites.receipt import Receipt, ReceiptState
from tests.unit.test_sms_suppliers import example

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
AT = datetime(2026, 3, 4, 14, 0, tzinfo=UTC)


def read(settings: Settings, said: Any) -> list[Receipt]:
    return receipts_of("http", _fields(settings.delivery.sms.http.receipts), said, NOW)


@pytest.mark.parametrize(
    ("supplier", "said", "expected"),
    [
        ("twilio", {"MessageSid": "SM1", "MessageStatus": "delivered"}, (ReceiptState.DELIVERED, "", "SM1", False)),
        ("twilio", {"MessageSid": "SM1", "MessageStatus": "undelivered"}, (ReceiptState.FAILED, "", "SM1", False)),
        ("vonage", {"messageId": "V1", "client-ref": "ref-1", "status": "rejected"},
         (ReceiptState.FAILED, "ref-1", "V1", True)),
        ("infobip", {"results": [{"messageId": "ref-1", "status": {"groupName": "DELIVERED"}}]},
         (ReceiptState.DELIVERED, "", "ref-1", False)),
    ],
)  # fmt: skip
def test_each_supplier_is_understood(supplier: str, said: Any, expected: tuple[ReceiptState, str, str, bool]) -> None:
    [receipt] = read(example(supplier), said)
    assert (receipt.state, receipt.reference, receipt.provider_reference, receipt.permanent) == expected
    assert receipt.at == NOW


@pytest.mark.parametrize(
    "at", ["2026-03-04T14:00:00Z", "2026-03-04T14:00:00", "1772632800", "1772632800000", "2026-03-04T15:00:00+01:00"]
)
def test_times_are_read_in_the_ways_that_suppliers_write_them(at: str) -> None:
    said = {"results": [{"messageId": "r", "status": {"groupName": "DELIVERED"}, "doneAt": at}]}
    assert [receipt.at for receipt in read(example("infobip"), said)] == [AT]


@pytest.mark.parametrize(
    "at",
    [
        "9" * 4_400,
        "9" * 15,
        "0",
        "\u0663\u0664",
        "yesterday",
        "0001-01-01T00:00:00+14:00",
        "0001-01-01",
        "2019-12-31T23:59:59-01:00",
        "9999-12-31T23:59:59-14:00",
    ],
)
def test_a_time_that_cannot_be_is_that_at_which_we_heard(at: str) -> None:
    said = {"results": [{"messageId": "r", "status": {"groupName": "DELIVERED"}, "doneAt": at}]}
    assert [receipt.at for receipt in read(example("infobip"), said)] == [NOW]


@pytest.mark.parametrize(
    "said", [None, 3, "x", [], {}, {"status": "delivered"}, {"id": "1", "status": "odd"}, {"id": [], "status": {}}]
)
def test_what_says_nothing_is_no_receipt(said: Any) -> None:
    assert read(Settings(), said) == []


def test_no_receipt_of_a_long_call_is_lost() -> None:
    said = [{"id": str(number), "status": "DELIVERED"} for number in range(2500)]
    assert len(read(Settings(), said)) == 2500


def test_a_list_of_receipts_is_read_as_one_call() -> None:
    said = [{"id": str(number), "status": "DELIVERED"} for number in range(3)]
    assert [receipt.provider_reference for receipt in read(Settings(), said)] == ["0", "1", "2"]

"""The work-list of bad contacts: who is on it, what of them, and who may read it."""

from __future__ import annotations

import csv
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.bad_contacts_list import COLUMNS, lines, write_csv
from invites.channels.channel import LETTER
from invites.receipt import Receipt, ReceiptState
from patient_records.model import EMAIL, MOBILE, ContactPoint, Identifier, PersonName
from tests.support.people import House, PlainChannel, ScriptedProvider, person

AT = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def failed(house: House) -> None:
    for row in house.rows("outbox"):
        house.receipts.take(
            [Receipt("scripted", ReceiptState.FAILED, AT, reference=str(row["reference"]), permanent=True, code="gone")]
        )


def test_the_list_names_the_person_and_the_contact(house: House, tmp_path: Path) -> None:
    numbers = (Identifier("NHS", "NH", "9990000018"), Identifier("RX1", "MR", "4711", "RX1"))
    contacts = (ContactPoint(EMAIL, "Ada@Example.org"),)
    other = (ContactPoint(MOBILE, "+447700900111"),)
    ids = house.arrive(
        [
            person(1, home=other, addresses=(), names=(PersonName(family="=HYPERLINK(1)", given="Ada"),)),
            person(2, home=contacts, addresses=(), identifiers=numbers),
            person(3, home=()),
        ]
    )
    house.issue.run()
    for kind in ("sms", "email", LETTER):
        house.lane(ScriptedProvider(), PlainChannel(kind)).run()
    failed(house)
    file = tmp_path / "bad.csv"
    assert write_csv(file, lines(house.database, house.records)) == 3
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with file.open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert list(rows[0]) == list(COLUMNS)
    found = {row["channel"]: row for row in rows}
    assert found["email"]["contact"] == "Ada@Example.org"
    assert (found["email"]["nhs_number"], found["email"]["local_numbers"]) == ("9990000018", "4711")
    assert (found["sms"]["contact"], found["sms"]["family_name"]) == ("+447700900111", "'=HYPERLINK(1)")
    assert (found["letter"]["contact"], found["letter"]["code"]) == ("1 Long Lane, Exampleton, EX1 1AA", "gone")
    assert found["letter"]["since"] == "2026-03-04"
    house.change(ids[0], home=contacts)
    assert {line.channel for line in lines(house.database, house.records)} == {"email", "letter"}


def test_nobody_bad_is_a_head_alone_and_nothing_is_left_beside_it(house: House, tmp_path: Path) -> None:
    assert write_csv(tmp_path / "bad.csv", lines(house.database, house.records)) == 0
    assert [each.name for each in tmp_path.iterdir() if each.suffix in {".csv", ".part"}] == ["bad.csv"]

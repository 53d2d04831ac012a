"""Rows of a spreadsheet as A28 messages: what a row says, and why another is none."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7_listener.adt import interpret
from hl7_listener.csv_rows import BadRow, DateForm, HeaderFault, RowMessage, Rows, columns_of, form_of
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from patient_records.model import Address, BirthDate, ContactPoint, Identifier, PersonName
from patient_records.update import OMITTED, PatientUpdate

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROWS = Rows(frozenset({"RX1", "RX2"}), "RX1", DateForm.ISO, AS_OF)
UNA = {
    "title": "Ms",
    "first_name": "Una",
    "last_name": "Archer",
    "date_of_birth": "1970-01-31",
    "sex": "Female",
    "national_id": "999 000 0018",
    "national_id_type": "NHS_NUMBER",
    "organisation_id": "RX2",
    "email": "una@example.org",
    "mobile": "07700 900123",
    "address1": "1 Invented Lane",
    "address2": "Flat ^2",
    "city": "Sampleton",
    "county": "",
    "postcode": "ZZ1 1ZZ",
    "country": "GB",
}


def update_of(row: dict[str, str], rows: Rows = ROWS) -> PatientUpdate:
    made = rows.message(row)
    assert isinstance(made, RowMessage), made
    listener = ListenerOptions("csv", "", 0, made.organisation, ZoneInfo("Europe/London"))
    meaning = interpret(read(made.raw), listener, SenderProfile(), AS_OF)
    assert isinstance(meaning, PatientUpdate), meaning
    return meaning


def test_a_row_says_what_an_a28_would() -> None:
    update = update_of(UNA)
    assert update.event == "A28"
    assert update.organisation == "RX2"
    assert update.event_at == int(AS_OF.timestamp() * 1_000_000)
    assert update.identifiers == (Identifier("NHS", "NH", "9990000018"),)
    assert update.names == (PersonName("Archer", "Una", prefix="Ms"),)
    assert update.birth == BirthDate("19700131")
    assert update.sex == "F"
    assert update.addresses == (Address(("1 Invented Lane", "Flat ^2"), "Sampleton", postcode="ZZ1 1ZZ", country="GB"),)
    assert update.home == (
        ContactPoint("mobile", "+447700900123", "PRN"),
        ContactPoint("email", "una@example.org", "NET"),
    )
    assert update.findings == ()


def test_what_a_row_leaves_empty_leaves_what_is_stored() -> None:
    update = update_of({"first_name": "Una", "last_name": "Archer", "national_id": "9990000018"})
    assert update.organisation == "RX1"
    assert (update.birth, update.sex, update.addresses, update.home) == (OMITTED, OMITTED, OMITTED, OMITTED)


def test_another_kind_of_number_is_kept_under_its_own_name() -> None:
    update = update_of({**UNA, "national_id": "AB12", "national_id_type": "chi number"})
    assert [(i.authority, i.type, i.value) for i in update.identifiers] == [("CHI_NUMBER", "NI", "AB12")]


def test_the_same_row_has_the_same_bytes_and_another_row_another_control_id() -> None:
    first, again, other = ROWS.message(UNA), ROWS.message(dict(UNA)), ROWS.message({**UNA, "city": "Elsewhere"})
    assert isinstance(first, RowMessage)
    assert isinstance(again, RowMessage)
    assert isinstance(other, RowMessage)
    assert first.raw == again.raw
    assert read(first.raw).header.control_id != read(other.raw).header.control_id


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"last_name": " "}, "last_name missing"),
        ({"national_id": "", "first_name": ""}, "first_name and national_id missing"),
        ({"date_of_birth": "31/01/1970"}, "date_of_birth is no date written YYYY-MM-DD"),
        ({"date_of_birth": "1970-02-30"}, "date_of_birth is no date"),
        ({"sex": "banana"}, "sex is none of"),
        ({"national_id": "9990000019"}, "national_id is no NHS number"),
        ({"national_id_type": "N!"}, "national_id_type has characters"),
        ({"organisation_id": "RX9"}, "organisation_id is not one of RX1, RX2"),
        ({"city": "a\x07"}, "city holds control characters"),
        ({"city": "a" * 501}, "city is longer than 500"),
    ],
)
def test_a_bad_row_says_why(change: dict[str, str], reason: str) -> None:
    made = ROWS.message({**UNA, **change})
    assert isinstance(made, BadRow)
    assert reason in made.reason


def test_a_row_without_an_organisation_needs_a_default() -> None:
    made = Rows(frozenset({"RX1", "RX2"}), "", DateForm.ISO, AS_OF).message({**UNA, "organisation_id": ""})
    assert made == BadRow("organisation_id missing, which is one of RX1, RX2")


@pytest.mark.parametrize(
    ("form", "text", "digits"),
    [
        (DateForm.ISO, "1970-01-31", "19700131"),
        (DateForm.ISO, "19700131", "19700131"),
        (DateForm.DAY_FIRST, "31/01/1970", "19700131"),
        (DateForm.DAY_FIRST, "3/1/1970", "19700103"),
        (DateForm.DAY_FIRST, "1970-01-31", None),
        (DateForm.DAY_FIRST, "01/31/1970", None),
        (DateForm.ISO, "31/01/1970", None),
    ],
)
def test_a_date_is_read_in_the_file_s_form_alone(form: DateForm, text: str, digits: str | None) -> None:
    found = form.read(text)
    assert (f"{found:%Y%m%d}" if found else None) == digits


def test_the_first_date_states_the_form() -> None:
    assert form_of("1970-01-31") is DateForm.ISO
    assert form_of("31/01/1970") is DateForm.DAY_FIRST
    with pytest.raises(HeaderFault, match="--dates"):
        form_of("Jan 31, 1970")


def test_headers_in_any_order_case_and_spelling() -> None:
    assert columns_of(["National ID", "LAST_NAME", "firstName", "note"]) == (
        "national_id", "last_name", "first_name", None,
    )  # fmt: skip
    with pytest.raises(HeaderFault, match="twice"):
        columns_of(["first_name", "First Name", "last_name", "national_id"])
    with pytest.raises(HeaderFault, match="lacks first_name, last_name"):
        columns_of(["national_id"])


@given(st.dictionaries(st.sampled_from(sorted(UNA)), st.text(max_size=30)))
def test_any_row_is_a_message_that_reads_back_or_has_a_reason(change: dict[str, str]) -> None:
    row = {**UNA, **change}
    made = ROWS.message(row)
    if isinstance(made, BadRow):
        assert made.reason
    else:
        pid = read(made.raw).segment("PID")
        assert pid is not None
        assert pid.text(5) == row["last_name"].strip()
        assert pid.text(5, 2) == row["first_name"].strip()

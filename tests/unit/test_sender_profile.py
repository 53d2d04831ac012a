"""Which of a sender's identifiers is an NHS number, and which is usable."""

from __future__ import annotations

import pytest

from hl7_listener.sender_profile import SenderProfile, nhs_number_is_valid, read_identifier
from patient_records.model import Identifier

NHS = Identifier("NHS", "NH", "9990000018")


@pytest.mark.parametrize(
    ("authority", "kind"),
    [("NHS", "NH"), ("nhs", "nh"), ("NHS", ""), ("NHS", "NI"), ("NHS", "HN"), ("", "NH"), ("", "NHS"), ("", "NHSNMBR"),
     ("2.16.840.1.113883.2.1.4.1", ""), ("https://fhir.nhs.uk/Id/nhs-number", "NI"), (" NHS ", " NH "), ("RX1", "NH")],
)  # fmt: skip
@pytest.mark.parametrize("value", ["9990000018", "999 000 0018", "999-000-0018"])
def test_an_nhs_number_is_known_by_its_authority_or_type(authority: str, kind: str, value: str) -> None:
    assert read_identifier(value, authority, kind, SenderProfile(), "RX1").identifier == NHS


@pytest.mark.parametrize(("authority", "kind"), [("RX1", "MR"), ("", ""), ("RX1", "NI"), ("NHS", "MR"), ("01", "NI")])
def test_ten_digits_alone_are_no_nhs_number(authority: str, kind: str) -> None:
    found = read_identifier("9990000018", authority, kind, SenderProfile(), "RX1").identifier
    assert found == Identifier(authority, kind, "9990000018", "RX1")


@pytest.mark.parametrize("value", ["9990000019", "999000001", "99900000180", "1111111111", "ABCDEFGHIJ", "٩٩٩٠٠٠٠٠١٨"])
def test_an_nhs_number_without_its_check_digit_is_unusable(value: str) -> None:
    assert read_identifier(value, "NHS", "NH", SenderProfile(), "RX1").identifier is None
    assert not nhs_number_is_valid(value)


def test_a_check_digit_of_ten_does_not_exist() -> None:
    """Where the sum asks for a ten no number is issued, whatever stands in its place."""
    stem = next(f"{n:09}" for n in range(400_000_000, 400_001_000) if _remainder(f"{n:09}") == 1)
    assert not any(nhs_number_is_valid(f"{stem}{digit}") for digit in range(10))


def _remainder(nine: str) -> int:
    return sum((10 - place) * int(digit) for place, digit in enumerate(nine)) % 11


@pytest.mark.parametrize(
    ("kind", "status"), [("NH{status:01}", "01"), ("NH{STATUS:2}", "02"), ("nh{status:07}", "07"), ("NH", "")]
)
def test_the_status_rides_in_the_type(kind: str, status: str) -> None:
    read = read_identifier("9990000018", "NHS", kind, SenderProfile(), "RX1")
    assert (read.identifier, read.status) == (NHS, status)


def test_a_default_authority_stands_in_for_an_empty_one() -> None:
    found = read_identifier("1", "", "MR", SenderProfile(default_authority="rx1"), "RX9").identifier
    assert found == Identifier("RX1", "MR", "1", "RX9")


def test_an_empty_value_is_unusable() -> None:
    assert read_identifier("  ", "RX1", "MR", SenderProfile(), "RX1").identifier is None

"""The short ways of telecom.py agree with the libraries that they stand in for."""

from __future__ import annotations

import re

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from hypothesis import example, given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from hl7_listener import telecom
from hl7_listener.telecom import email_address, point_of
from patient_records.model import LANDLINE, MOBILE

MOBILE_TYPES = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def by_the_library(text: str) -> tuple[str, str]:
    number = phonenumbers.parse(text, "GB")
    kind = MOBILE if phonenumbers.number_type(number) in MOBILE_TYPES else LANDLINE
    return kind, phonenumbers.format_number(number, PhoneNumberFormat.E164)


@given(prefix=st.sampled_from(["0", "+44", "0044"]), digits=st.from_regex(r"[1-3][0-9]{9}", fullmatch=True))
@example(prefix="0", digits="1632960001")
def test_the_short_way_for_uk_numbers_gives_what_phonenumbers_gives(prefix: str, digits: str) -> None:
    assert re.match(telecom._UK_OTHER, prefix + digits), "it is the short way that is tested"
    point = point_of(prefix + digits, "GB")
    assert point is not None
    assert (point.kind, point.value) == by_the_library(prefix + digits)


@given(prefix=st.sampled_from(["0", "+44", "0044", "44"]), digits=st.from_regex(r"7[1-57-9][0-9]{8}", fullmatch=True))
def test_the_short_way_for_mobiles_gives_the_number_that_phonenumbers_gives(prefix: str, digits: str) -> None:
    point = point_of(prefix + digits, "GB")
    assert point is not None
    kind, value = by_the_library("+44" + digits)
    assert point.value == value
    number = phonenumbers.parse(value, "GB")
    # Where the library knows the number at all it agrees that it is a mobile; unassigned ranges it cannot judge.
    assert point.kind == MOBILE
    assert kind == MOBILE or not phonenumbers.is_valid_number(number)


@given(text=st.from_regex(telecom._PLAIN_EMAIL, fullmatch=True))
@example(text="a-@b.co.uk")
@example(text="A.B+c@EXAMPLE.org")
@example(text="a@xn--a.com")
def test_the_short_way_for_addresses_gives_what_email_validator_gives(text: str) -> None:
    if len(text) > 64:
        return
    try:
        expected: str | None = validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        expected = None
    assert email_address(text) == expected


def test_numbers_of_the_uk_test_range_count_as_mobile() -> None:
    for text in ("07700 900000", "+44 7700 900999", "0+44(0)7700900123", "0044 7700 900 123"):
        point = point_of(text, "GB")
        assert point is not None
        assert point.kind == MOBILE


def test_what_is_no_number_and_no_address_is_nothing() -> None:
    for text in ("", "none", "@", "a@", "see notes", "x" * 1000, "07", '""'):
        assert point_of(text, "GB") is None

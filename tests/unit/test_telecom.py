"""Phones and emails wherever a sender put them, and how much is tried to find them."""

from __future__ import annotations

import phonenumbers
import pytest

from hl7_listener import telecom
from hl7_listener.telecom import MOST_CANDIDATES, MOST_POINTS, MOST_REPETITIONS, Contacts, contact_points
from patient_records.model import EMAIL, LANDLINE, MOBILE


def contacts(field: str) -> Contacts:
    return contact_points([text.split("^") for text in field.split("~")], "GB", str)


def values(field: str) -> list[tuple[str, str]]:
    return [(point.kind, point.value) for point in contacts(field).points]


PHONE = [(MOBILE, "+447700900123")]


@pytest.mark.parametrize(
    "field",
    [
        "07700900123^PRN^CP",
        "^PRN^CP" + "^" * 9 + "07700 900123",
        "()-^PRN^CP" + "^" * 9 + "07700 900123",
        "unknown^^^^^07700^900123",
        "-^PRN^CP" + "^" * 8 + "n/a^07700900123",
        '""^^^^44^7700^900123',
        "^PRN^CP^^44^^+447700900123",
        "^PRN^CP^^44^^00447700900123",
        "^PRN^CP^^UK^07700^900123",
        "^PRN^CP^^(44)^7700^900123",
        f"()-^^^^44^07700^900123{'^' * 5}none",
    ],
)
def test_a_placeholder_hides_no_number(field: str) -> None:
    found = contacts(field)
    assert [(point.kind, point.value) for point in found.points] == PHONE
    assert (found.unusable, found.too_many, found.erased) == (False, False, False)


def test_phone_and_address_in_one_repetition() -> None:
    assert values("07700900123^NET^CP^t@example.org") == [(EMAIL, "t@example.org"), *PHONE]
    assert values("t@example.org^NET^X.400" + "^" * 9 + "01632 960001") == [
        (EMAIL, "t@example.org"),
        (LANDLINE, "+441632960001"),
    ]


@pytest.mark.parametrize(
    ("field", "unusable", "erased"),
    [("^PRN^CP", True, False), ("none", True, False), ("^^", False, False), ('""^PRN', False, True),
     ('^NET^X^""', False, True), ('""~none', True, False), ('^""', True, False), ("a@@b", True, False)],
)  # fmt: skip
def test_without_a_number_the_field_erases_or_says_nothing(field: str, *, unusable: bool, erased: bool) -> None:
    assert contacts(field) == Contacts((), unusable=unusable, erased=erased)


HOSTILE = [
    "a@b",
    "a@b..c",
    "ä@ü.xn--",
    "é@" + "é." * 8 + "c",
    "a@" + "b" * 250,
    "a@" + "é" * 200,
    "+49 30 1234",
    "x" * 41,
    "(((((12 ext 1234567 ext. 12x12 #12)))))",
    "\\X41\\" * 1000,
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(("repetitions", "components"), [(200, 100), (1, 100), (20, 12), (1000, 1)])
def test_what_is_tried_of_one_field_has_an_end(
    text: str, repetitions: int, components: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    looked_up = telecom.point_of

    def point_of(text: str, region: str, use: str = "") -> object:
        tried.append(text)
        return looked_up(text, region, use)

    monkeypatch.setattr(telecom, "point_of", point_of)
    found = contact_points([[text] * components] * repetitions, "GB", str)
    assert len(tried) <= 40
    assert sum(not text.isascii() for text in tried if len(text) <= 254) <= 5
    if repetitions > MOST_REPETITIONS or ("@" in text and components > MOST_CANDIDATES):
        assert found.too_many


def test_what_is_too_long_is_neither_unescaped_nor_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(telecom, "validate_email", calls.append)
    monkeypatch.setattr(phonenumbers, "parse", calls.append)
    for text in ("a@" + "b" * 253, "+49" + "1" * 300, "+49" + "1" * 40):
        found = contact_points([[text]], "GB", lambda raw: raw if len(raw) <= 254 else pytest.fail("unescaped"))
        assert found == Contacts((), unusable=True)
    assert not calls


def test_a_record_is_not_filled_by_one_field() -> None:
    found = contacts("~".join(f"077009001{number:02}^^^t{number}@example.org" for number in range(20)))
    assert (len(found.points), found.too_many) == (MOST_POINTS, True)


MOBILE_123 = ("mobile", "+447700900123")
HABITS = {
    "07700 900123 (mobile)": [MOBILE_123],
    "07700 900123 - MOBILE": [MOBILE_123],
    "Tel: 07700 900123": [MOBILE_123],
    "tel:+447700900123": [MOBILE_123],
    "0+44(0)7700900123": [MOBILE_123],
    "00 44 (0) 7700 900123": [MOBILE_123],
    "7700900123": [MOBILE_123],
    "07700 900123 ext 4": [MOBILE_123],
    "07700 900123 / 07700 900124": [MOBILE_123, ("mobile", "+447700900124")],
    "07700 900123 or 01632 960001": [MOBILE_123, ("landline", "+441632960001")],
    "01632/960000": [("landline", "+441632960000")],
    "mailto:ada@example.org": [("email", "ada@example.org")],
    "Ada <ada@example.org>;": [("email", "ada@example.org")],
    "ada @ example.org": [("email", "ada@example.org")],
    "ada@example.org; bob@example.org": [("email", "ada@example.org"), ("email", "bob@example.org")],
}


@pytest.mark.parametrize("text", HABITS)
def test_what_people_write_around_a_number_or_an_address(text: str) -> None:
    found = contact_points([[text]], "GB", str)
    assert [(point.kind, point.value) for point in found.points] == HABITS[text]
    assert not found.unusable


@pytest.mark.parametrize(
    "text", ["Mum 07700 900123", "07700 900123 (mum)", "O7700 9OO123", "0800 FLOWERS", "call after 6 07700900123"]
)
def test_a_number_with_words_is_somebody_elses_or_a_slip(text: str) -> None:
    """An invitation must not go to whoever that is."""
    found = contact_points([[text]], "GB", str)
    assert (found.points, found.unusable) == ((), True)

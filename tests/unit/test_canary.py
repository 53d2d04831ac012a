"""The canary sings: each of its values, planted in each disguise, is found; and what is innocent is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from daemon.demo_people import check_digit
from tests.support.canary import NHS_NUMBER, VALUES, assert_absent, leaks, message

DISGUISES: dict[str, Callable[[str], str | bytes]] = {
    "plain": lambda value: value,
    "upper": lambda value: value.upper(),
    "lower": lambda value: value.lower(),
    "bytes": lambda value: value.encode(),
    "latin-1": lambda value: value.encode("latin-1"),
    "base64": lambda value: base64.b64encode(value.encode()),
    "base64 behind one byte": lambda value: base64.b64encode(b"x" + value.encode() + b"y"),
    "base64 behind two bytes": lambda value: base64.b64encode(b"xx" + value.encode() + b"y"),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"\xff\xff" + value.encode()),
    "hex": lambda value: value.encode().hex(),
    "upper hex": lambda value: value.encode().hex().upper(),
    "url": lambda value: quote(value, safe=""),
    "json": json.dumps,
    "repr of bytes": lambda value: repr(value.encode("latin-1")),
    "ascii": ascii,
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("place", VALUES)
def test_a_planted_value_is_found(place: str, disguise: str) -> None:
    planted = DISGUISES[disguise](VALUES[place])
    around = b"<%b>" % planted if isinstance(planted, bytes) else f"<{planted}>"
    assert place in leaks(around)
    with pytest.raises(AssertionError, match="patient data in the log") as failure:
        assert_absent(around, "the log")
    assert VALUES[place] not in str(failure.value)


@pytest.mark.parametrize("text", ["+447700900987", "1961-05-23", "datetime.date(1961, 5, 23)", "999 887 7660"])
def test_a_value_in_our_own_spelling_is_found(text: str) -> None:
    assert leaks(f"'{text}'")


def test_every_value_is_in_the_message() -> None:
    assert set(leaks(message())) == set(VALUES)


def test_innocent_text_is_innocent() -> None:
    assert_absent(
        '{"event": "applied", "outcome": "applied", "control_id": "CANARY-1", "finding": "date_unusable:PID-7"}'
    )


def test_the_national_number_is_a_valid_one() -> None:
    assert check_digit(NHS_NUMBER[:9]) == int(NHS_NUMBER[9])

"""HL7's timestamps, in every precision and spelling that was seen, as instants."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from hl7_listener.timestamps import _period, instant_of, period_of

LONDON = ZoneInfo("Europe/London")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # date and time parts only


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026", utc(2026, 1, 1)),
        ("202602", utc(2026, 2, 1)),
        ("20260203", utc(2026, 2, 3)),
        ("2026020304", utc(2026, 2, 3, 4)),
        ("202602030405", utc(2026, 2, 3, 4, 5)),
        ("20260203040506", utc(2026, 2, 3, 4, 5, 6)),
        ("20260203040506.7", utc(2026, 2, 3, 4, 5, 6, 700_000)),
        ("20260203040506.123456789", utc(2026, 2, 3, 4, 5, 6, 123_456)),
        ("20260203040506Z", utc(2026, 2, 3, 4, 5, 6)),
        ("20260203040506+0000", utc(2026, 2, 3, 4, 5, 6)),
        ("20260203040506-0530", utc(2026, 2, 3, 9, 35, 6)),
        ("20260203040506.5+01:00", utc(2026, 2, 3, 3, 5, 6, 500_000)),
        ("20260203+0100", utc(2026, 2, 2, 23)),
        ("2026-02-03", utc(2026, 2, 3)),
        ("2026-02-03T04:05:06", utc(2026, 2, 3, 4, 5, 6)),
        ("2026-02-03 04:05:06.25Z", utc(2026, 2, 3, 4, 5, 6, 250_000)),
        ("2026/02/03", utc(2026, 2, 3)),
        ("2026-02-03T04:05+02:00", utc(2026, 2, 3, 2, 5)),
    ],
)
def test_every_precision_and_spelling(text: str, instant: datetime) -> None:
    assert instant_of(text, LONDON) == instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("20260701120000", utc(2026, 7, 1, 11)),
        ("20261025013000", utc(2026, 10, 25, 0, 30)),  # comes twice: the first one counts
        ("20260329013000", utc(2026, 3, 29, 1, 30)),  # does not exist: as if the clock had not gone forward yet
        ("20260701120000+0000", utc(2026, 7, 1, 12)),
    ],
)
def test_without_an_offset_it_is_the_sender_s_local_time(text: str, instant: datetime) -> None:
    assert instant_of(text, LONDON) == instant


@pytest.mark.parametrize(
    "text",
    ["", "x", "26", "20261301", "20260230", "2026020324", "20260203040561", "20260203 whenever", "2026" * 20, "٢٠٢٦",
     "20260203040506+9999", "99999999", "0000", "00000000", "2026-02-03T04:05:06 o'clock", "\0" * 8, "0001-01-01+1400"],
)  # fmt: skip
def test_what_names_no_instant_is_none_and_never_an_exception(text: str) -> None:
    assert instant_of(text, ZoneInfo("Pacific/Auckland")) is None


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026", utc(2026, 12, 31, 23, 59, 59, 999_999)),
        ("202602", utc(2026, 2, 28, 23, 59, 59, 999_999)),
        ("202612", utc(2026, 12, 31, 23, 59, 59, 999_999)),
        ("20260203", utc(2026, 2, 3, 23, 59, 59, 999_999)),
        ("20260203+0100", utc(2026, 2, 3, 22, 59, 59, 999_999)),
        ("2026020304", utc(2026, 2, 3, 4, 59, 59, 999_999)),
        ("202602030405", utc(2026, 2, 3, 4, 5, 59, 999_999)),
        ("20260203040506", utc(2026, 2, 3, 4, 5, 6)),
        ("20260203040506.7", utc(2026, 2, 3, 4, 5, 6, 700_000)),
        ("20261025013000", utc(2026, 10, 25, 1, 30)),  # comes twice: it may be the second one
        ("20261025013000+0100", utc(2026, 10, 25, 0, 30)),
        ("20260329013000", utc(2026, 3, 29, 1, 30)),  # does not exist: and does not end before it starts
    ],
)
def test_a_timestamp_lasts_as_long_as_its_precision_says(text: str, end: datetime) -> None:
    period = period_of(text, LONDON)
    assert period is not None
    assert (period.start, period.end) == (instant_of(text, LONDON), end)


def test_a_text_that_is_no_timestamp_by_its_length_is_not_kept_in_memory() -> None:
    before = _period.cache_info().currsize
    for number in range(10):
        assert instant_of(f"{number}{'9' * 100_000}", LONDON) is None
    assert _period.cache_info().currsize == before

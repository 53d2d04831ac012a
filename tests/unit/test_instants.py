from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patient_records.instants import from_micros, maybe_instant, maybe_micros, to_micros


@given(st.datetimes(timezones=st.timezones()))
def test_an_instant_survives_to_the_microsecond_whatever_its_zone(instant: datetime) -> None:
    micros = to_micros(instant)
    assert from_micros(micros) == instant.astimezone(UTC)
    assert to_micros(from_micros(micros)) == micros


def test_zones_are_the_same_instant() -> None:
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert to_micros(noon) == to_micros(noon.astimezone(timezone(timedelta(hours=5, minutes=45))))
    assert to_micros(datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)) == 1
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)) == -1


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError):
        to_micros(datetime(2026, 1, 1))  # noqa: DTZ001 (naive on purpose)


def test_none_stays_none() -> None:
    assert maybe_micros(None) is None
    assert maybe_instant(None) is None
    assert maybe_instant(maybe_micros(from_micros(5))) == from_micros(5)

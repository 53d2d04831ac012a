from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from invites.retry import RetryPolicy, next_try, wait_before

POLICY = RetryPolicy(
    first_retry=timedelta(seconds=30), give_up_after=timedelta(hours=48), longest_wait=timedelta(hours=1)
)
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def no_jitter() -> float:
    return 0.5


def after(attempt: int, now: datetime, not_before: timedelta | None = None) -> datetime | None:
    return next_try(POLICY, attempt=attempt, first_attempt_at=START, now=now, chance=no_jitter, not_before=not_before)


def test_each_wait_is_twice_the_one_before_up_to_the_cap() -> None:
    waits = [wait_before(POLICY, attempt=attempt, chance=no_jitter).total_seconds() for attempt in range(1, 11)]
    assert waits == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_thousandth_attempt_does_not_overflow() -> None:
    assert wait_before(POLICY, attempt=1_000, chance=no_jitter) == timedelta(hours=1)


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 24), (0.5, 30), (0.999_999, 36)])
def test_chance_moves_a_wait_by_a_fifth_at_most(chance: float, seconds: float) -> None:
    assert wait_before(POLICY, attempt=1, chance=lambda: chance).total_seconds() == pytest.approx(seconds, abs=0.001)


def test_the_next_try_is_a_wait_from_now() -> None:
    assert after(1, START) == START + timedelta(seconds=30)


def test_the_last_try_comes_at_the_deadline_and_then_it_is_given_up() -> None:
    deadline = START + timedelta(hours=48)
    assert after(60, deadline - timedelta(minutes=5)) == deadline
    assert after(61, deadline) is None
    assert after(61, deadline + timedelta(days=1)) is None


def test_a_wait_that_the_provider_asks_for_is_kept() -> None:
    assert after(1, START, timedelta(minutes=10)) == START + timedelta(minutes=10)
    assert after(6, START, timedelta(minutes=10)) == START + timedelta(seconds=960)


def test_a_provider_that_asks_for_more_than_is_left_is_given_up_at_once() -> None:
    assert after(1, START, timedelta(hours=49)) is None

"""When a message that was certainly not sent is tried again (SPEC 5.3, ``not_sent``).

Exponential back-off: each wait is twice the one before, up to a cap, and moved by chance by up to a fifth either way,
so that a thousand messages that failed together do not come back together. The time for giving up is counted from the
first attempt, not from the entry: a daemon that stood still for a weekend has not tried for a weekend.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

JITTER: Final = 0.2
"""The share of a wait that chance may add or take away."""

_MOST_DOUBLINGS: Final = 32  # more would overflow timedelta long after the cap has taken over


class RetryPolicy(Struct, frozen=True):
    """``first_retry`` is the first wait, ``longest_wait`` the cap, ``give_up_after`` counts from the first attempt.

    The cap of an hour: a provider that comes back after a night's outage is noticed within the hour, and an outage of
    two days costs some fifty calls a message.
    """

    first_retry: timedelta = timedelta(seconds=30)
    give_up_after: timedelta = timedelta(hours=48)
    longest_wait: timedelta = timedelta(hours=1)


def next_try(
    policy: RetryPolicy,
    *,
    attempt: int,
    first_attempt_at: datetime,
    now: datetime,
    chance: Callable[[], float],
    not_before: timedelta | None = None,
) -> datetime | None:
    """Say when to try again after attempt number ``attempt`` (from 1), or None: it is time to give up.

    ``chance`` gives numbers of [0, 1); ``not_before`` is the wait that the provider asked for. The last try comes at
    the deadline itself, unless the provider asks to be left alone for longer than that.
    """
    deadline = first_attempt_at + policy.give_up_after
    if now >= deadline:
        return None
    wait = wait_before(policy, attempt=attempt, chance=chance)
    if not_before is not None and not_before > wait:
        due = now + not_before
        return due if due <= deadline else None
    return min(now + wait, deadline)


def wait_before(policy: RetryPolicy, *, attempt: int, chance: Callable[[], float]) -> timedelta:
    """Give the wait after that attempt: the doubled and capped one, moved by up to :data:`JITTER` either way."""
    doubled: timedelta = policy.first_retry * 2 ** min(attempt - 1, _MOST_DOUBLINGS)
    return min(doubled, policy.longest_wait) * (1 - JITTER + 2 * JITTER * chance())

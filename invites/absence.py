"""Searches that found nothing, and from when on that is believed (SPEC 5.3).

A supplier answers before it has written down what it took, and under load a search does not find a message for a while
that is there all the same. Who believed the first "no such reference" would send a second message. So it is believed
the second time only, the provider's ``settle_after`` later, whoever the provider is.

What was not found is an *attempt*, not an entry: between two questions another daemon, or staff, may have queued the
entry again, and the message that went out since is as young as the first was. Kept in memory only: after a new start
everything is asked twice again, which is the safe way round.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from msgspec.structs import replace

from invites.channels.channel import NotSent, Unknown
from invites.finish import Answer, NotBegun

MOST_REMEMBERED: Final = 10_000
"""Attempts that were not found once; of more, those that come later wait until there is room.

Not the other way round: all are asked about in turns, so the oldest is the one whose second question comes next. To
forget it for the sake of a new one would have none of them ever believed.
"""

_FORGOTTEN: Final = 4 * 3600.0
"""Seconds after which one that is not asked about any more makes room: four times the longest wait for a question."""


class Absences:
    """What one lane's provider did not find, and since when. For one thread at a time."""

    def __init__(self, apart: timedelta, elapsed: Callable[[], float]) -> None:
        """``apart`` is how long two questions must lie apart; ``elapsed`` a clock in seconds that never goes back."""
        self._apart = apart.total_seconds()
        self._elapsed = elapsed
        self._since: dict[tuple[int, int], float] = {}

    def judged(self, answer: Answer) -> Answer:
        """Give what a search said as far as it may be believed: an absence seen for the first time is *unknown*."""
        attempt = (answer.entry.id, answer.number)
        outcome = answer.outcome
        if isinstance(outcome, NotSent) and not self._is_old(attempt):
            return replace(answer, outcome=Unknown(f"{outcome.code}_yet"))
        if not isinstance(outcome, Unknown | NotBegun):  # a question that was not put has no answer
            self._since.pop(attempt, None)
        return answer

    def _is_old(self, attempt: tuple[int, int]) -> bool:
        """Whether it was not found long enough ago, too; if not, since when is remembered."""
        now = self._elapsed()
        if attempt not in self._since and len(self._since) >= MOST_REMEMBERED:
            self._since = {one: since for one, since in self._since.items() if now - since < _FORGOTTEN}
            if len(self._since) >= MOST_REMEMBERED:
                return False
        return now - self._since.setdefault(attempt, now) >= self._apart

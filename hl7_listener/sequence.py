"""Sequence numbers (MSH-13) of one sender: where numbers are missing, and which came later after all.

The standard's protocol (HL7 2.5.1 chapter 2.10.1) lets a receiver refuse what is out of order. Here a gap is a finding
and nothing more: the messages that came are good, and those that did not come cannot be had by refusing them. A sender
with several connections overtakes itself, so a number that was missing and comes is no longer missing.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

MOST_RANGES: Final = 64
"""Gaps that are remembered apart; of more, the oldest are forgotten, as nothing will fill them."""
LARGEST_GAP: Final = 1_000_000
"""A jump that is farther is a new beginning, not so many lost messages."""
_LONGEST: Final = 15
"""Digits of a number that is followed; NM has no more use of longer ones."""


class SequenceState(Struct):
    """What is known of one sender's numbers: the ``last`` one, the ``gaps`` seen, the numbers still ``missing``."""

    last: int = 0
    gaps: int = 0
    missing: int = 0
    last_gap_at: int = 0


class SequenceNumbers:
    """Follows one sender. ``state`` may be read at any time."""

    def __init__(self, last: int = 0) -> None:
        """Go on behind ``last``, the number of an earlier run; 0: whatever comes first is right."""
        self.state = SequenceState(last)
        self._open: list[tuple[int, int]] = []

    def saw(self, text: str, at: int) -> int:
        """Note a number, received ``at`` (microseconds); how many are missing because of it. Junk is passed over.

        0 and -1 begin anew by the standard, and so does any smaller number that nobody waits for.
        """
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST):
            if text == "-1":
                self._restart(0)
            return 0
        number, state = int(text), self.state
        ahead = number - state.last
        if state.last == 0 or ahead == 1:
            state.last = number
            return 0
        if 1 < ahead <= LARGEST_GAP:
            return self._gap(number, at)
        if ahead != 0 and not self._filled(number):
            self._restart(number)
        return 0

    def _gap(self, number: int, at: int) -> int:
        state = self.state
        first, jump = state.last + 1, number - state.last - 1
        state.last, state.gaps, state.last_gap_at = number, state.gaps + 1, at
        state.missing += jump
        self._open.append((first, number - 1))
        self._forget_oldest()
        return jump

    def _forget_oldest(self) -> None:
        if len(self._open) > MOST_RANGES:
            first, last = self._open.pop(0)
            self.state.missing -= last - first + 1

    def _filled(self, number: int) -> bool:
        for position, (first, last) in enumerate(self._open):
            if first <= number <= last:
                rest = [(first, number - 1), (number + 1, last)]
                self._open[position : position + 1] = [(a, b) for a, b in rest if a <= b]
                self.state.missing -= 1
                self._forget_oldest()  # what is filled in its middle makes two of one
                return True
        return False

    def _restart(self, number: int) -> None:
        self.state.last = number

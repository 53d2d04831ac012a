"""Sequence numbers: a gap is counted once, what comes late fills it, a new beginning is none."""

from __future__ import annotations

import pytest

from hl7_listener.sequence import LARGEST_GAP, MOST_RANGES, SequenceNumbers


@pytest.mark.parametrize(
    ("numbers", "jumps", "gaps", "missing"),
    [
        ("7 8 9", [0, 0, 0], 0, 0),
        ("7 9", [0, 1], 1, 1),
        ("7 12 13", [0, 4, 0], 1, 4),
        ("7 12 9 13", [0, 4, 0, 0], 1, 3),
        ("7 12 8 11 9 10 13", [0, 4, 0, 0, 0, 0, 0], 1, 0),
        ("7 7 8", [0, 0, 0], 0, 0),
        ("7 8 1 2 3", [0] * 5, 0, 0),
        ("7 8 0 1", [0] * 4, 0, 0),
        ("7 8 -1 55 56", [0] * 5, 0, 0),
        ("7 x 8", [0, 0, 0], 0, 0),
        (f"7 {LARGEST_GAP * 3}", [0, 0], 0, 0),
        (f"7 {'9' * 400} 8", [0, 0, 0], 0, 0),
        ("7 ٨ 9", [0, 0, 1], 1, 1),
    ],
)
def test_what_is_missing(numbers: str, jumps: list[int], gaps: int, missing: int) -> None:
    follows = SequenceNumbers()
    assert [follows.saw(number, 5) for number in numbers.split()] == jumps
    assert (follows.state.gaps, follows.state.missing) == (gaps, missing)
    assert bool(follows.state.last_gap_at) == bool(gaps)


def test_it_goes_on_behind_an_earlier_run() -> None:
    assert SequenceNumbers(7).saw("9", 0) == 1
    assert SequenceNumbers(7).saw("8", 0) == 0


def test_gaps_without_end_are_not_remembered_without_end() -> None:
    follows = SequenceNumbers()
    for number in range(1, 1001, 2):
        follows.saw(str(number), 0)
    assert (follows.state.gaps, follows.state.missing) == (499, MOST_RANGES)


def test_a_gap_that_is_filled_here_and_there_falls_into_no_more_pieces_than_are_remembered() -> None:
    """Each message is compared with every piece, so their number is what a message costs."""
    follows = SequenceNumbers()
    follows.saw("1", 0)
    follows.saw("100000", 0)
    for number in range(2, 99_999, 2):
        follows.saw(str(number), 0)
    assert 0 <= follows.state.missing <= 100_000 - 2 * MOST_RANGES

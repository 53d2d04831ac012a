"""Plays the cases and says what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from daemon.acceptance import framing_cases, message_cases
from daemon.acceptance.case import Case, Got, Level, Verdict
from daemon.acceptance.messages import Speaker, Writer
from daemon.acceptance.peer import Target

CASES: Final[tuple[Case, ...]] = (*framing_cases.CASES, *message_cases.CASES, *framing_cases.LAST)

NO_CONNECTION: Final = "no connection"
"""How it begins what was got where none could be had."""


def play(
    target: Target, speaker: Speaker, names: Sequence[str] = (), *, before: Callable[[Case], None] = lambda _case: None
) -> Iterator[Verdict]:
    """Play the cases of those names, or all, one after the other; ``before`` hears which one is next."""
    writer = Writer(speaker)
    for case in CASES:
        if names and case.name not in names:
            continue
        before(case)
        try:
            got = case.play(target, writer)
        except OSError as error:
            got = Got(passed=False, got=f"{NO_CONNECTION} ({type(error).__name__})")
        yield Verdict(case.name, case.level, case.expected, got.got, got.passed, case.reason)


def accepted(verdicts: Sequence[Verdict], *, strict: bool) -> bool:
    """Whether every must was met; ``strict``: every promise, too."""
    return all(one.passed or (one.level is Level.PROMISE and not strict) for one in verdicts)

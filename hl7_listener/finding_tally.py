"""Findings on their way into the sender's report: added up, and bounded.

A sender is whatever MSH-3 and MSH-4 say, and places are many; so a hostile sender must not be able to fill the table.
A sender has so many different rows, all senders together have so many, and what is beyond is one last row of the sender
(``further_findings``), or, past the bound for all, a number that nobody else pays for. The bounds are each daemon's own
view: several on one database may pass them a little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from hl7_listener.finding import FURTHER_FINDINGS, Finding
from patient_records.findings import FindingCount

MOST_OF_A_SENDER: Final = 500
"""Different findings kept for one sender. The oddest of our corpus have some 60."""
MOST_OF_ALL: Final = 20_000
"""Rows in all: some 5 MB, in the table and in memory."""

_Key = tuple[str, str, str]


class FindingTally:
    """What is counted and not yet stored; used by one thread. ``beyond`` counts findings that no row was left for."""

    def __init__(self) -> None:
        self._rows: set[_Key] = set()
        self._of_sender: dict[str, int] = {}
        self._new: dict[_Key, FindingCount] = {}
        self.beyond = 0

    def __len__(self) -> int:
        """How many rows are to be stored."""
        return len(self._new)

    def remember(self, rows: Iterable[_Key]) -> None:
        """Learn which rows the table has already."""
        for key in rows:
            self._admit(key)

    def add(self, sender: str, journal_id: int, at: int, found: Sequence[Finding]) -> None:
        """Count the findings of one message, received at ``at`` (microseconds)."""
        for key in {self._key(sender, finding) for finding in found}:
            if key is None:
                self.beyond += 1
                continue
            before = self._new.get(key)
            count, first = (before.count, before.first_at) if before else (0, at)
            self._new[key] = FindingCount(*key, count + 1, first, at, journal_id)

    def taken(self) -> list[FindingCount]:
        """Give what is to be stored, and begin anew."""
        new, self._new = list(self._new.values()), {}
        return new

    def _key(self, sender: str, finding: Finding) -> _Key | None:
        """The row to count a finding in; None when there is none left."""
        key = (sender, finding.rule, finding.place)
        if key in self._rows:
            return key
        if self._of_sender.get(sender, 0) >= MOST_OF_A_SENDER - 1:
            key = (sender, FURTHER_FINDINGS, "")
            if key in self._rows:
                return key
        if len(self._rows) >= MOST_OF_ALL:
            return None
        self._admit(key)
        return key

    def _admit(self, key: _Key) -> None:
        if key not in self._rows:
            self._rows.add(key)
            self._of_sender[key[0]] = self._of_sender.get(key[0], 0) + 1

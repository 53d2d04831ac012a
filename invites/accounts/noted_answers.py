"""Answers to the challenge as the automatic pause hears of them (SPEC 5.4).

A batch that went to the wrong people shows in wrong dates of birth. Answers are noted here and written down a little
later, by a job of the clock: were it done with the answer, a wrong date of a good pair would take a statement more than
a code that nobody has, and tell itself by that. What a daemon had not written down when it died is lost; the pause
looks at shares of many.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from queue import Empty, SimpleQueue
from typing import Final

from invites.gate import Gate
from invites.tally import CHALLENGES
from patient_records.errors import RecordsError
from patient_records.unit_of_work import Database

WRITTEN_EVERY: Final = timedelta(seconds=20)
"""How long an answer waits: short against the quarter of an hour that a batch of letters needs to arrive."""


class NotedAnswers:
    """Keeps answers until they are written down. Safe to call from several threads."""

    def __init__(self, database: Database, gate: Gate) -> None:
        self._database = database
        self._gate = gate
        self._waiting: SimpleQueue[tuple[str, bool]] = SimpleQueue()

    def hear(self, organisation: str, passed: bool) -> None:  # noqa: FBT001 (the fact that is noted)
        """Note that a good pair of that organisation was answered with the right date, or with a wrong one."""
        self._waiting.put((organisation, passed))

    def run(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Write down what was noted; gives how many answers. Raises StorageUnavailable, and keeps them then."""
        answers = self._drained()
        if not answers or stopping():
            self._keep(answers)
            return 0
        try:
            with self._database.begin() as connection:
                results = [(organisation, CHALLENGES, passed) for organisation, passed in answers]
                self._gate.note(connection, results, self._database.now(connection))
        except RecordsError:
            self._keep(answers)
            raise
        return len(answers)

    def _drained(self) -> list[tuple[str, bool]]:
        answers: list[tuple[str, bool]] = []
        while True:
            try:
                answers.append(self._waiting.get_nowait())
            except Empty:
                return answers

    def _keep(self, answers: list[tuple[str, bool]]) -> None:
        for answer in answers:
            self._waiting.put(answer)

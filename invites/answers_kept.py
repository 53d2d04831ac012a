"""Between what a provider said and the database that cannot take it now.

What a provider said is not to be had twice. So when it cannot be written down, it is kept, no further call begins (its
answer would only wait in line, and be lost with this process), and the next run of the lane writes it down before it
does anything else. However late that is, the fence judges: an entry whose lease lapsed meanwhile is ``unknown``, and
the truth still counts. No more is kept than one batch.
"""

from __future__ import annotations

from collections.abc import Sequence

from invites.finish import Answer, Finish
from patient_records.errors import StorageConflict, StorageUnavailable


class AnswersKept:
    """Writes down the answers of one lane, now or later."""

    def __init__(self, finish: Finish) -> None:
        self._finish = finish
        self._kept: list[Answer] = []
        self._failing = False

    def catch_up(self) -> None:
        """Write down what was kept, if anything. Raises StorageUnavailable or StorageConflict, and keeps it then."""
        if self._kept:
            self._finish(self._kept)
            self._kept = []
        self._failing = False

    def add(self, answers: Sequence[Answer]) -> None:
        """Write these down, or keep them; what is no fault of the storage is raised."""
        if self._kept:
            self._kept.extend(answers)
            return
        try:
            self._finish(answers, self._note)
        except (StorageConflict, StorageUnavailable):
            self._kept.extend(answers)
        finally:
            self._failing = self._failing or bool(self._kept)

    @property
    def in_step(self) -> bool:
        """Whether everything could be written down since the last :meth:`catch_up`, so that more may be asked for."""
        return not self._failing

    def _note(self) -> None:
        self._failing = True

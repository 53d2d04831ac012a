"""Sweeps: done as long as something is due, and over as soon as a step finds nothing that it may take."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import Connection

from daemon.tidying import Tidying
from patient_records.sweeping import until_done
from patient_records.unit_of_work import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


class Steps:
    """Steps that find so much each, and then no more; more of them than there should be end the test."""

    def __init__(self, *found: int) -> None:
        self._found = list(found)
        self.taken = 0

    def __call__(self, _connection: Connection, _now: datetime) -> int:
        self.taken += 1
        assert self.taken <= len(self._found), "went on although the last step had found nothing"
        return self._found[self.taken - 1]


def due(_connection: Connection, _now: datetime) -> bool:
    return True


def test_a_step_that_finds_nothing_is_the_last(database: Database) -> None:
    """What is due may be somebody else's just now (a window that is held, a row that another daemon takes)."""
    steps = Steps(1000, 3, 0)
    assert until_done(database, due, steps) == 1003
    assert steps.taken == 3


def test_tidying_does_not_spin_over_a_window_that_is_held(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(0)
    monkeypatch.setattr("daemon.tidying._SWEEPS", ((due, steps),))
    assert Tidying(database)() == 0
    assert steps.taken == 1


def test_nothing_is_written_where_nothing_is_due(database: Database) -> None:
    steps = Steps()
    assert until_done(database, lambda *_: False, steps) == 0
    assert until_done(database, due, steps, lambda: True) == 0

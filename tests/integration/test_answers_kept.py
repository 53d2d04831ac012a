"""A database that goes away between an answer and its commit: nothing that was said is lost or asked for again."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from sqlalchemy import Connection

from patient_records.errors import StorageUnavailable
from tests.support.outbox_rows import queued
from tests.support.people import House, ScriptedProvider

SAFETY = 60
PEOPLE = 40


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


class Away:
    """A database that is away from the first call of a provider on; further calls answer once that was noticed."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gone = threading.Event()
        self._noticed = threading.Event()
        self._begin: Callable[[], AbstractContextManager[Connection]] = house.database.begin
        monkeypatch.setattr(house.database, "begin", self.begin)
        monkeypatch.setattr(house.finish, "_pause", lambda _seconds: self._noticed.set())

    def begin(self) -> AbstractContextManager[Connection]:
        """Begin a transaction, if there is a database."""
        if self.gone.is_set():
            code = "57P01"
            raise StorageUnavailable(code)
        return self._begin()

    def while_called(self) -> None:
        """What happens during each call."""
        if not self.gone.is_set():
            self.gone.set()
        else:
            assert self._noticed.wait(SAFETY)


@pytest.mark.parametrize("lapsed", [False, True])
def test_no_call_begins_meanwhile_and_what_was_said_is_written_later(
    house: House, monkeypatch: pytest.MonkeyPatch, *, lapsed: bool
) -> None:
    queued(house, PEOPLE)
    provider = ScriptedProvider()  # it can neither search nor deduplicate: what is lost is lost for ever
    away = Away(house, monkeypatch)
    provider.before_answering = away.while_called
    lane = house.lane(provider)
    with pytest.raises(StorageUnavailable):
        lane.run()
    with pytest.raises(StorageUnavailable):
        lane.run()
    assert len(provider.sent) < PEOPLE / 2
    away.gone.clear()
    provider.before_answering = lambda: None
    if lapsed:
        house.later(timedelta(minutes=6))
        house.sweep.run()
    lane.run()
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(accepted=PEOPLE)
    assert Counter(Counter(request.reference for request in provider.sent).values()) == Counter({1: PEOPLE})


def test_a_short_absence_ends_with_the_batch(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    queued(house, PEOPLE)
    provider = ScriptedProvider()
    away = Away(house, monkeypatch)
    provider.before_answering = away.while_called
    wait = house.finish._pause

    def back(seconds: float) -> None:
        away.gone.clear()
        provider.before_answering = lambda: None
        wait(seconds)

    monkeypatch.setattr(house.finish, "_pause", back)
    house.lane(provider).run()
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(accepted=PEOPLE)
    assert len(provider.sent) == PEOPLE

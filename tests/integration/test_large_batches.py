"""Batches of thousands: no statement takes a value for each of their messages, for databases take no more than some."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, event

from hl7_listener import people
from hl7_listener.replay import Difference
from patient_records import tables
from patient_records.ports import RecordChange
from tests.support.desk import Desk
from tests.support.feed import a28
from tests.support.hospital import Hospital

MOST_VALUES = 2_000
"""Values that SQLite is told to take in one statement; else it takes 32,766, and PostgreSQL 65,535."""


def both_contacts(person: int, mobile: str) -> bytes:
    """A person with a mobile number and an email address of this one's own."""
    email = f"p{person}.{mobile[-1]}@example.org"
    return a28(person, f"{person}-{mobile}", mobile=f"{mobile}^PRN^CP~^NET^Internet^{email}")


def test_more_contacts_than_a_statement_takes_are_forgotten_in_one_batch(sqlite_url: str) -> None:
    """Else the batch would count as one that storage failed for, and its sender would send it again, for ever."""
    hospital = Hospital(sqlite_url)
    hospital.database.engine.dispose()  # so that all connections are new ones

    @event.listens_for(hospital.database.engine, "connect")
    def limit(connection: sqlite3.Connection, _record: Any) -> None:
        connection.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, MOST_VALUES)

    numbers = range(600)
    hospital.send(*(both_contacts(n, "07700900001") for n in numbers))
    settled = hospital.send(*(both_contacts(n, "07700900002") for n in numbers))
    assert {str(one.outcome) for one in settled} == {"applied"}
    with hospital.database.read() as connection:
        found = connection.execute(tables.contact_points.select()).all()
    assert len(found) == 2 * len(numbers)
    hospital.close()


class Listener:
    """Hears of changed records, and counts how many it is told of at a time."""

    def __init__(self) -> None:
        self.told: list[list[int]] = []

    def records_changed(self, connection: Connection, changes: Sequence[RecordChange], now: datetime) -> None:
        del connection, now
        self.told.append([change.after.id for change in changes])


def test_changed_records_are_told_of_in_portions_each_once(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "TOLD_AT_ONCE", 4)
    hospital, listener = Hospital(database_url), Listener()
    hospital._stores = replace(hospital._stores, changes=listener)
    made = hospital.send(*(a28(n) for n in range(10)))
    assert [len(ids) for ids in listener.told] == [4, 4, 2]
    assert sorted(chain(*listener.told)) == sorted(one.record_id or 0 for one in made)
    hospital.close()


def test_a_rehearsal_hears_all_portions(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people, "TOLD_AT_ONCE", 1)
    desk, shown = Desk(database_url), list[Difference]()
    for person in range(3):
        desk.receive(a28(person).replace(b"|P|", b"|X|"))
    desk.listeners["pas"] = replace(desk.listeners["pas"], processing_ids=("X",))
    desk.replay.rehearse(since=None, statuses=("rejected",), show=shown.append)
    assert [one.fields for one in shown] == [("created",)] * 3
    desk.database.close()

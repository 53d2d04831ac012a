"""A change of somebody's standing: registered, on hold, excluded. It goes the way of every change of a record.

The record is saved anew and whoever listens hears of it in the same transaction (:mod:`patient_records.ports`), so that
queued messages are cancelled and pairs end with it, whoever brought it about: the feed, staff or the person.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from patient_records.model import Standing
from patient_records.ports import RecordChange, RecordChanges
from patient_records.repository import OpenRecord, Records


class StandingChange:
    """Changes standings, one record at a time."""

    def __init__(self, records: Records, listener: RecordChanges) -> None:
        self._records = records
        self._listener = listener

    def __call__(self, connection: Connection, opened: OpenRecord, standing: Standing, now: datetime) -> OpenRecord:
        """Store a new standing of a record that the caller locked; gives the record as it is then."""
        [saved] = self._records.save(connection, [(opened, opened.changed(opened.record.demographics, standing))], now)
        self._listener.records_changed(connection, [RecordChange(opened.record, saved.record, saved.key)], now)
        return saved

"""Records and a journal in a database of the test's own, on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
from msgspec import Struct

from patient_records.ids import IdSource
from patient_records.journal import Journal
from patient_records.keys import KeyRing
from patient_records.repository import OpenRecord, Records
from patient_records.tables import metadata
from patient_records.unit_of_work import Database

NOW: Final = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
RX1: Final = "RX1"


class Stores(Struct, frozen=True):
    """One process's view of a database: make a second with :meth:`beside`, as a second daemon would."""

    url: str
    database: Database
    ring: KeyRing
    ids: IdSource
    records: Records
    journal: Journal

    @classmethod
    def on(cls, url: str, ring: KeyRing) -> Stores:
        """Open what lies at that URL."""
        ids = IdSource(lambda: time.time_ns() // 1_000_000, os.urandom)
        return cls(url, Database(url), ring, ids, Records(ring, ids), Journal(ring))

    def beside(self) -> Stores:
        """Open the same database again, with the same keys."""
        return Stores.on(self.url, self.ring)

    def save(self, *changes: tuple[OpenRecord | None, OpenRecord]) -> list[OpenRecord]:
        """Save in a transaction of its own."""
        with self.database.begin() as connection:
            return self.records.save(connection, changes, NOW)

    def load(self, record_id: int) -> OpenRecord:
        """Load in a transaction of its own."""
        with self.database.read() as connection:
            return self.records.load(connection, [record_id])[record_id]


@pytest.fixture
def stores(database_url: str) -> Iterator[Stores]:
    """An empty database with its tables."""
    made = Stores.on(database_url, KeyRing([], {}).completed([RX1, "RX2"]))
    metadata.create_all(made.database.engine)
    yield made
    made.database.close()

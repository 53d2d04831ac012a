"""Several daemons starting at once end with one key ring: the one that lies on the disk."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import delete

from patient_records import tables
from patient_records.keys import KeyRing, open_key_ring, read_key_file
from patient_records.unit_of_work import Database

NOW = datetime(2026, 1, 2, tzinfo=UTC)
STARTERS = 4


def start(url: str, path: Path, together: threading.Barrier, rings: list[KeyRing]) -> None:
    database = Database(url)
    together.wait(30)
    with database.begin() as connection:
        ring = open_key_ring(path, connection, ["RX1", "RX2"], NOW)
    rings.append(ring)
    database.close()


def test_starting_together_makes_each_key_once(database_url: str, tmp_path: Path) -> None:
    path = tmp_path / "data" / "keys.json"
    database = Database(database_url)
    tables.metadata.create_all(database.engine)
    for _ in range(5):
        path.unlink(missing_ok=True)
        with database.begin() as connection:
            connection.execute(delete(tables.keys))
        rings: list[KeyRing] = []
        together = threading.Barrier(STARTERS)
        threads = [threading.Thread(target=start, args=(database_url, path, together, rings)) for _ in range(STARTERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        on_disk = read_key_file(path)
        assert len(rings) == STARTERS
        assert all(ring.keys == on_disk.keys for ring in rings)
    database.close()

"""What is in a daemon's database, whether it runs or not, and whether that keeps the promises of SPEC 3.2 and 5.3."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy


class Store:
    """A daemon's database, opened for reading by somebody else."""

    def __init__(self, url: str) -> None:
        self._url = sqlalchemy.make_url(url)
        self._engine = sqlalchemy.create_engine(self._url, poolclass=sqlalchemy.NullPool)

    def rows(self, statement: str, **values: object) -> list[Any]:
        """Run a query."""
        with self._engine.connect() as connection:
            return list(connection.execute(sqlalchemy.text(statement), values))

    def change(self, statement: str) -> None:
        """Change something behind the daemon's back."""
        with self._engine.begin() as connection:
            connection.execute(sqlalchemy.text(statement))

    def one(self, statement: str, **values: object) -> Any:
        """Give the first column of the first row."""
        return self.rows(statement, **values)[0][0]

    def assert_whole(self) -> None:
        """SQLite's own check of the file; PostgreSQL has recovered by itself or would not answer."""
        if self._url.get_backend_name() == "sqlite":
            assert self.rows("PRAGMA integrity_check") == [("ok",)]

    def assert_once(self, acknowledged: set[str]) -> None:
        """Every acknowledged control id is in the journal once (repeats may be counted), and nothing is there twice."""
        applied = Counter(row.control_id for row in self.rows("SELECT control_id FROM journal WHERE answer = 'AA'"))
        assert acknowledged <= applied.keys(), f"{len(acknowledged - applied.keys())} acknowledged messages are lost"
        assert max(applied.values(), default=0) <= 1, "a message was applied twice"

    def assert_invited_once(self) -> None:
        """Nobody has two first invitations, and no business key was used twice."""
        for table, key in (("invitations", "record_id, purpose, number"), ("outbox", "business_key")):
            twice = self.rows(f"SELECT {key}, count(*) FROM {table} GROUP BY {key} HAVING count(*) > 1")
            assert not twice, f"{table}: {len(twice)} keys twice"
        first = self.rows(
            "SELECT record_id FROM invitations WHERE purpose = 'invitation' GROUP BY record_id HAVING count(*) > 1"
        )
        assert not first, f"{len(first)} people were first invited twice"

    def micros(self) -> int:
        """The time in microseconds since 1970, as leases are counted in."""
        return time.time_ns() // 1000

    def bytes(self) -> bytes:
        """Everything that lies on the disk of a SQLite database: the file, its log and its index."""
        file = Path(self._url.database or "")
        parts = (file, file.with_name(file.name + "-wal"), file.with_name(file.name + "-shm"))
        return b"".join(part.read_bytes() for part in parts if part.exists())

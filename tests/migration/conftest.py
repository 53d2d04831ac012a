"""Two databases side by side: one from the migrations, one from the tables as they are in the code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from patient_records.unit_of_work import Database


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database, on SQLite and on PostgreSQL."""
    made = Database(database_url)
    yield made
    made.close()


@pytest.fixture
def twin(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    """Another empty database of the same kind."""
    if database.dialect == "sqlite":
        made = Database(f"sqlite:///{tmp_path / 'twin.db'}")
        yield made
        made.close()
        return
    databases = request.getfixturevalue("databases")
    url = databases.fresh_database()
    made = Database(url)
    yield made
    made.close()
    databases.drop(url)

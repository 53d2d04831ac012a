"""How many rows each table has: what did not change when nothing should have."""

from __future__ import annotations

from sqlalchemy import func, select

from patient_records.tables import metadata
from patient_records.unit_of_work import Database


def row_counts(database: Database) -> dict[str, int]:
    """Count the rows of every table."""
    with database.read() as connection:
        return {
            table.name: int(connection.scalar(select(func.count()).select_from(table)) or 0)
            for table in metadata.sorted_tables
        }

"""Whether a record is still the one that a message was made from, asked under its lock.

A message is prepared outside any transaction, so the record may change before it is marked *sending*. Whoever marks
locks the records first, then the entries, and compares: what was prepared from an older version is prepared anew.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from patient_records.tables import patient_records
from patient_records.unit_of_work import POSTGRESQL


def locked_versions(connection: Connection, record_ids: Collection[int]) -> dict[int, int]:
    """Lock these records and give their versions."""
    table = patient_records
    statement = select(table.c.id, table.c.version).where(table.c.id.in_(list(record_ids))).order_by(table.c.id)
    if connection.dialect.name == POSTGRESQL:
        statement = statement.with_for_update()
    return {row.id: row.version for row in connection.execute(statement)}

"""Public ids: what callers name a person by. Opaque, and never taken back: a merged or deleted record keeps its own."""

from __future__ import annotations

from sqlalchemy import Connection, select

from patient_records.tables import patient_records


def record_of(connection: Connection, public_id: str) -> int | None:
    """The id of the record with that public id, as it is: it may be merged away or deleted."""
    found: int | None = connection.scalar(select(patient_records.c.id).where(patient_records.c.public_id == public_id))
    return found

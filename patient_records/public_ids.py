"""Public ids: what callers name a person by. Opaque, and never taken back: a merged or deleted record keeps its own."""

from __future__ import annotations

import re
from typing import Final

from sqlalchemy import Connection, select

from patient_records.tables import patient_records

PATTERN: Final = "[0-9a-f]{32}"
"""What every one looks like (:meth:`patient_records.ids.IdSource.opaque`)."""

_ONE: Final = re.compile(PATTERN)


def record_of(connection: Connection, public_id: str) -> int | None:
    """The id of the record with that public id, as it is: it may be merged away or deleted.

    What is no public id names nobody, and is not looked up: PostgreSQL fails on a text that holds NUL.
    """
    if _ONE.fullmatch(public_id) is None:
        return None
    found: int | None = connection.scalar(select(patient_records.c.id).where(patient_records.c.public_id == public_id))
    return found

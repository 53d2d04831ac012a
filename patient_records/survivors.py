"""From an id that somebody has to the record that it means today: by public id, and along merges to the survivor."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, select

from patient_records.bulk import BulkSelect
from patient_records.tables import patient_records

_MERGED: Final = BulkSelect(patient_records, ("id", "merged_into"), "id", only="merged_into IS NOT NULL")
_LONGEST_CHAIN: Final = 100  # merges in a ring are a fault of the data, not a reason to search for ever


def record_of(connection: Connection, public_id: str) -> int | None:
    """The id of the record with that public id, as it is: it may be merged away or deleted."""
    found: int | None = connection.scalar(select(patient_records.c.id).where(patient_records.c.public_id == public_id))
    return found


def survivors(connection: Connection, ids: Collection[int]) -> dict[int, int]:
    """For each of these records the one that it was merged into in the end, or itself."""
    found = {id_: id_ for id_ in ids}
    for _ in range(_LONGEST_CHAIN):
        merged: dict[int, int] = dict(_MERGED.run(connection, set(found.values())))
        if not merged:
            break
        found = {id_: merged.get(at, at) for id_, at in found.items()}
    return found

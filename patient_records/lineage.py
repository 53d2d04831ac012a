"""Who became of whom: merged records lead to their survivor (SPEC 3.5).

A merge moves no identifier and copies no row. The prior record keeps what it has and points to its survivor
(``merged_into``); whoever finds it goes on to the end of the chain. So a merge that was wrong can be turned round, and
nothing has to be guessed about what belonged to whom.

Everybody who hands out something by record id (redeeming, the API, explaining) asks :func:`survivor_of` first.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, select

from patient_records.bulk import BulkSelect
from patient_records.merge import follow
from patient_records.tables import patient_records

_ONWARD: Final = BulkSelect(patient_records, ("id", "merged_into"), "id", only="merged_into IS NOT NULL")


def survivor_of(connection: Connection, record_id: int) -> int:
    """Give the record that stands for this one now: itself, or the end of its chain of merges.

    It takes no lock. Who is about to change something locks the record it gives and looks at its ``merged_into`` again.
    """
    return survivors_of(connection, [record_id])[record_id]


def survivors_of(connection: Connection, record_ids: Collection[int]) -> dict[int, int]:
    """Give the survivor of each of these records; one that is not merged (or not there) is its own."""
    onward = onward_of(connection, record_ids)
    return {record_id: follow(record_id, onward) for record_id in record_ids}


def onward_of(connection: Connection, record_ids: Collection[int]) -> dict[int, int]:
    """Give every link of the chains that begin at these records: who was merged into whom. On the hot path."""
    onward: dict[int, int] = {}
    ask = set(record_ids)
    while ask:
        links: dict[int, int] = dict(_ONWARD.run(connection, ask))
        onward |= links
        ask = set(links.values()) - onward.keys()
    return onward


def forerunners_of(connection: Connection, record_id: int) -> list[int]:
    """Give all records that lead to this one, however far back, in the order of their ids; not itself."""
    found: set[int] = set()
    ask = {record_id}
    while ask:
        table = patient_records
        statement = select(table.c.id).where(table.c.merged_into.in_(ask))
        ask = set(connection.scalars(statement)) - found
        found |= ask
    return sorted(found)

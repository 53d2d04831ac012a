"""What a message did to people beyond setting their fields: merges, deletions, links; for whoever explains it later.

The journal has one row a message and knows one person of it. A merge touches two people, an A40 with several groups
many, so what was done to each stands here: ids and codes, and never who they are. Plain messages write nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, select

from patient_records import tables
from patient_records.bulk import BulkInsert


class Act(StrEnum):
    """What was done to a person; where a second one has a part in it, ``other`` is that one."""

    MERGED_INTO = "merged_into"
    MERGED_FROM = "merged_from"
    REVERSED_INTO = "reversed_into"
    """Was the survivor of ``other`` and is now its prior: the merge went the other way round."""
    REVERSED_FROM = "reversed_from"
    """Was merged into ``other`` and is now its survivor."""
    IDENTIFIER_CHANGED = "identifier_changed"
    DELETED = "deleted"
    MADE_ANEW = "made_anew"
    """Was made in the place of ``other``, which had been deleted."""
    REPLACED = "replaced"
    """Had been deleted; ``other`` was made in its place."""
    LINKED = "linked"
    UNLINKED = "unlinked"


class Effect(Struct, frozen=True):
    """One thing that a message (its entry in the journal) did to one person, and who else had a part in it."""

    journal_id: int
    record_id: int
    act: Act
    other: int | None = None


_WRITE: Final = BulkInsert(tables.effects, ("journal_id", "number", "record_id", "act", "other_id"))


def write(connection: Connection, effects: Sequence[Effect]) -> None:
    """Store them in the caller's transaction, numbered within each message in their order."""
    numbers: dict[int, int] = {}
    rows = []
    for effect in effects:
        number = numbers[effect.journal_id] = numbers.get(effect.journal_id, 0) + 1
        rows.append((effect.journal_id, number, effect.record_id, effect.act.value, effect.other))
    _WRITE.run(connection, rows)


def effects_on(connection: Connection, record_ids: Sequence[int]) -> list[Effect]:
    """Give all that was done to these people, in the order in which it was."""
    table = tables.effects
    statement = (
        select(table).where(table.c.record_id.in_(list(record_ids))).order_by(table.c.journal_id, table.c.number)
    )
    return [Effect(r.journal_id, r.record_id, Act(r.act), r.other_id) for r in connection.execute(statement)]

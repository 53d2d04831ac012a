"""Who may apply a stored message again, or decide that nobody shall: one transaction at a time, and once.

Whoever does either (a replay, a resubmission, a discard) has chosen its messages before, in another transaction. So it
first claims them in the one that acts: waits until nobody else has a claim, then leaves out what was dealt with since.
The claim ends with the transaction. On SQLite a writing transaction is alone in any case; on PostgreSQL an advisory
lock makes it so among these. No row is locked, for the writer locks people first and the entries of repeats last, and
a claim comes before people: the two would wait for each other in a ring.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from sqlalchemy import ColumnElement, Connection, exists, select, text

from patient_records import tables
from patient_records.quarantine import WAITING
from patient_records.unit_of_work import POSTGRESQL

_ADVISORY_LOCK: Final = 0x7265706C6179  # "replay" in ASCII: any number does, as long as nobody else takes it

_J: Final = tables.journal.c
_Q: Final = tables.quarantine.c


def open_to_replay() -> tuple[ColumnElement[bool], ...]:
    """Give the conditions on journal rows that nobody applied again, nor decided about in quarantine."""
    again = tables.journal.alias("again")
    return (
        ~exists().where(again.c.replay_of == _J.id),
        ~exists().where(_Q.journal_id == _J.id, _Q.state != WAITING),
    )


def claim(connection: Connection, journal_ids: Collection[int]) -> frozenset[int]:
    """Claim these entries until the transaction ends; gives those that are still open to it.

    Waits for another's claim; raises StorageUnavailable when that takes too long. The first statement of its
    transaction, before any person is locked.
    """
    if connection.dialect.name == POSTGRESQL:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    # A statement of its own, so that on PostgreSQL it sees what was committed while the lock was waited for.
    replayed = connection.scalars(select(_J.replay_of).where(_J.replay_of.in_(journal_ids)))
    decided = connection.scalars(select(_Q.journal_id).where(_Q.journal_id.in_(journal_ids), _Q.state != WAITING))
    return frozenset(journal_ids).difference(replayed, decided)

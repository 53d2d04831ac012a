"""What conformance checks found in each sender's messages, counted: the sender's report.

Rules and places are names of ours and of the standard; nothing here says anything of a patient. Counts only grow;
several daemons add to the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, case, select
from sqlalchemy.dialects import postgresql, sqlite

from patient_records.tables import findings
from patient_records.unit_of_work import SQLITE


class FindingCount(Struct, frozen=True):
    """How often a sender broke a rule at a place, when (microseconds), and the last message that did, to look at."""

    sender: str
    rule: str
    place: str
    count: int
    first_at: int
    last_at: int
    last_journal_id: int


_KEY: Final = ("sender", "rule", "place")


def _upsert(dialect: Any) -> Any:
    statement = dialect.insert(findings)
    new, old = statement.excluded, findings.c
    newer = new.last_at >= old.last_at
    values = {
        "count": old.count + new.count,
        "first_at": case((new.first_at < old.first_at, new.first_at), else_=old.first_at),
        "last_at": case((newer, new.last_at), else_=old.last_at),
        "last_journal_id": case((newer, new.last_journal_id), else_=old.last_journal_id),
    }
    return statement.on_conflict_do_update(index_elements=_KEY, set_=values)


_ADD: Final = {True: _upsert(sqlite), False: _upsert(postgresql)}


def add(connection: Connection, counts: Sequence[FindingCount]) -> None:
    """Add to what is counted, in the caller's transaction; each sender, rule and place at most once in ``counts``."""
    if counts:
        ordered = sorted(counts, key=_key)  # two daemons take the rows in one order, and neither waits for ever
        rows = [{name: getattr(one, name) for name in FindingCount.__struct_fields__} for one in ordered]
        connection.execute(_ADD[connection.dialect.name == SQLITE], rows)


def report(connection: Connection, sender: str | None = None) -> list[FindingCount]:
    """What is counted for one sender or for all: by sender, the most frequent first."""
    statement = select(findings).order_by(findings.c.sender, findings.c.count.desc(), findings.c.rule, findings.c.place)
    if sender is not None:
        statement = statement.where(findings.c.sender == sender)
    return [FindingCount(*row) for row in connection.execute(statement)]


def counted(connection: Connection) -> list[tuple[str, str, str]]:
    """Every sender, rule and place that has a row."""
    rows = connection.execute(select(findings.c.sender, findings.c.rule, findings.c.place))
    return [(sender, rule, place) for sender, rule, place in rows]


def _key(one: FindingCount) -> tuple[str, str, str]:
    return (one.sender, one.rule, one.place)

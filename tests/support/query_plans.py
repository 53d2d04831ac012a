"""What SQLite means to do for the statements that somebody runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import event

from patient_records.unit_of_work import Database


@contextlib.contextmanager
def plans_of(database: Database) -> Iterator[list[str]]:
    """Collect, until the block ends, each step of the plan of each statement that SQLAlchemy runs, with the table."""
    statements: list[tuple[str, Any]] = []
    steps: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_rest: object) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "UPDATE", "DELETE")):
            statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield steps
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
    with database.read() as connection:
        for statement, given in statements:
            one = given[0] if isinstance(given, list) else given
            rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + statement, one).all()
            steps += [str(row[-1]) for row in rows]


_BY_ORGANISATION = {"SCAN canaries"}
"""Walks of tables that have one row for each organisation, whatever the number of people."""


def walks_of_whole_tables(steps: list[str]) -> list[str]:
    """Those steps that read a table of people or entries from end to end. A walk of an index alone is none."""
    walks = [step for step in steps if step.startswith("SCAN ") and "INDEX" not in step and "CONSTANT" not in step]
    return [step for step in walks if step not in _BY_ORGANISATION]

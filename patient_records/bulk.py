"""Many rows in one statement, on the hot path.

SQLAlchemy Core knows the tables and writes each statement once, for each dialect; the text then runs on the driver's
own cursor with all the values of a batch. What is saved is not the database's time but ours: a dozen statements a
batch, each through the whole of an expression language, cost more than the rows (``docs/adr/0002``).

On PostgreSQL an insert is one ``INSERT ... SELECT FROM unnest(...)`` with an array for each column, a look-up ``= ANY
(array)``: one round trip, whatever the number of rows. On SQLite it is ``INSERT ... VALUES (...), (...)`` for up to 64
rows at a time, and ``IN (?, ?, ...)``. Not ``executemany``: that gives the interpreter away at every row, and on the
way to an acknowledgment the event loop is waiting to take it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from itertools import chain
from typing import Any, Final

from sqlalchemy import Column, Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import bindparam
from sqlalchemy.sql.dml import Insert

from patient_records.unit_of_work import SQLITE

Row = tuple[Any, ...]

_PIECES: Final = (64, 32, 16, 8, 4, 2, 1)
"""Rows of one statement on SQLite: few enough texts for the driver to keep them all prepared."""

_MOST_VALUES: Final = 32_766 if sqlite3.sqlite_version_info >= (3, 32) else 999
"""Values of one statement that SQLite takes (SQLITE_MAX_VARIABLE_NUMBER)."""

_MOST_PARAMETERS: Final = 500
"""Values in one SQLite look-up: below every limit that SQLite was ever compiled with (999)."""


class BulkInsert:
    """Inserts rows (tuples in the order of ``columns``) into a table.

    ``key`` names the columns of a conflict, ``update`` those that are then set from the new row; an empty ``update``
    leaves the old row alone. Without ``key`` a conflict is an error of the database.
    """

    def __init__(
        self, table: Table, columns: Sequence[str], *, key: Sequence[str] = (), update: Sequence[str] = ()
    ) -> None:
        self._columns = [table.c[name] for name in columns]
        self._table, self._key, self._update = table, tuple(key), tuple(update)
        self._sqlite = self._compile_sqlite()
        self._pieces = [(rows, self._several(rows)) for rows in _PIECES if rows * len(columns) <= _MOST_VALUES]
        self._postgresql = self._compile_postgresql()

    def _compile_sqlite(self) -> str:
        statement = sqlite.insert(self._table).values({column.name: bindparam(column.name) for column in self._columns})
        if self._key:
            new = statement.excluded
            statement = (
                statement.on_conflict_do_update(self._key, set_={name: new[name] for name in self._update})
                if self._update
                else statement.on_conflict_do_nothing(self._key)
            )
        return _text(statement, sqlite.dialect(paramstyle="qmark"), [column.name for column in self._columns])

    def _several(self, rows: int) -> str:
        """The statement for so many rows: Core's own for one, with its values repeated."""
        marks = f"({', '.join('?' * len(self._columns))})"
        head, values, tail = self._sqlite.partition(f"VALUES {marks}")
        if not values:
            raise AssertionError("the compiled statement writes its values in another way than is repeated here")
        return f"{head}VALUES {', '.join([marks] * rows)}{tail}"

    def _compile_postgresql(self) -> str:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
        names = [column.name for column in self._columns]
        source = ", ".join(f"%s::{_array_type(column)}" for column in self._columns)
        quoted = ", ".join(dialect.identifier_preparer.quote(name) for name in names)
        text = f"INSERT INTO {self._table.name} ({quoted}) SELECT * FROM unnest({source})"
        if self._key:
            sets = ", ".join(f"{name} = excluded.{name}" for name in self._update)
            text += f" ON CONFLICT ({', '.join(self._key)}) DO " + (f"UPDATE SET {sets}" if sets else "NOTHING")
        return text

    def run(self, connection: Connection, rows: Sequence[Row]) -> None:
        """Insert all rows in the caller's transaction; nothing happens for none."""
        if not rows:
            return
        cursor = connection.connection.cursor()
        try:
            if connection.dialect.name == SQLITE:
                self._on_sqlite(cursor, rows)
            else:
                cursor.execute(self._postgresql, [list(column) for column in zip(*rows, strict=True)])
        finally:
            cursor.close()

    def _on_sqlite(self, cursor: Any, rows: Sequence[Row]) -> None:
        position = 0
        for size, text in self._pieces:
            while len(rows) - position >= size:
                cursor.execute(text, list(chain.from_iterable(rows[position : position + size])))
                position += size


class BulkSelect:
    """Looks up the rows of a table whose ``where`` column has one of many values.

    Gives the ``columns`` as plain tuples, as the driver has them. ``only`` is a condition in SQL that is added, without
    parameters; ``order`` a column to sort by. ``run`` takes ``suffix`` for row locks on PostgreSQL.
    """

    def __init__(self, table: Table, columns: Sequence[str], where: str, *, only: str = "", order: str = "") -> None:
        condition = f" AND {only}" if only else ""
        self._order = f" ORDER BY {table.c[order].name}" if order else ""
        self._head = f"SELECT {', '.join(table.c[name].name for name in columns)} FROM {table.name} WHERE "
        self._where, self._condition = table.c[where].name, condition
        self._array = _array_type(table.c[where])

    def run(self, connection: Connection, values: Collection[Any], suffix: str = "") -> list[Row]:
        """Look up all values in the caller's transaction; the unknown ones are left out."""
        if not values:
            return []
        cursor = connection.connection.cursor()
        try:
            if connection.dialect.name == SQLITE:
                return self._on_sqlite(cursor, list(values))
            text = f"{self._head}{self._where} = ANY(%s::{self._array}){self._condition}{self._order}{suffix}"
            cursor.execute(text, (list(values),))
            return list(cursor.fetchall())
        finally:
            cursor.close()

    def _on_sqlite(self, cursor: Any, values: list[Any]) -> list[Row]:
        if self._order:
            values.sort()  # so that the pieces follow each other in order
        rows: list[Row] = []
        for start in range(0, len(values), _MOST_PARAMETERS):
            piece = values[start : start + _MOST_PARAMETERS]
            marks = ",".join("?" * len(piece))
            cursor.execute(f"{self._head}{self._where} IN ({marks}){self._condition}{self._order}", piece)
            rows += cursor.fetchall()
        return rows


def _array_type(column: Column[Any]) -> str:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    return str(ARRAY(column.type).compile(dialect))


def _text(statement: Insert, dialect: Any, order: list[str]) -> str:
    compiled = statement.compile(dialect=dialect)
    if list(compiled.positiontup or ()) != order:
        raise AssertionError("the compiled statement takes its values in another order than the rows give them")
    return str(compiled)

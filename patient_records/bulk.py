"""Many rows in one statement, on the hot path.

SQLAlchemy Core builds and compiles each statement once, from the table's own definition; the compiled text then runs on
the driver's cursor with all the rows of a batch. On SQLite that is ``executemany``, on PostgreSQL one ``INSERT ...
SELECT FROM unnest(...)`` with an array for each column: one round trip, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql import bindparam
from sqlalchemy.sql.dml import Insert

from patient_records.unit_of_work import SQLITE

Row = tuple[Any, ...]


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

    def _compile_postgresql(self) -> str:
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
        names = [column.name for column in self._columns]
        types = [ARRAY(column.type).compile(dialect) for column in self._columns]
        source = ", ".join(f"%s::{kind}" for kind in types)
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
        if connection.dialect.name == SQLITE:
            connection.exec_driver_sql(self._sqlite, list(rows))
        else:
            connection.exec_driver_sql(self._postgresql, tuple(list(column) for column in zip(*rows, strict=True)))


def _text(statement: Insert, dialect: Any, order: list[str]) -> str:
    compiled = statement.compile(dialect=dialect)
    if list(compiled.positiontup or ()) != order:
        raise AssertionError("the compiled statement takes its values in another order than the rows give them")
    return str(compiled)

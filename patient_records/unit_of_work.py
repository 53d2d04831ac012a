"""One transaction, on SQLite or PostgreSQL.

:class:`Database` hands out connections with a transaction open; whoever does the work takes that connection as an
argument, so one transaction can carry a message, the record it changed and the invitations it ended.

Durability is set here and nowhere else. SQLite runs in WAL with ``synchronous=FULL``: with NORMAL an acknowledged
commit can be lost with the power. PostgreSQL runs with ``synchronous_commit=on``. On SQLite there is one writer at a
time: the writers of this process queue on a lock rather than poll the file's, and other processes wait on
the driver's timeout.

Errors of the driver become :class:`StorageUnavailable` (try again later), :class:`StorageConflict` (do it again now) or
:class:`StorageRefused` (this content never goes in).
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from patient_records.errors import RecordsError, StorageConflict, StorageRefused, StorageUnavailable
from patient_records.instants import from_micros
from patient_records.turnstile import Turnstile

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"

_RETRY_STATES: Final = frozenset({"40001", "40P01", "23505"})  # serialization, deadlock, unique: PostgreSQL appendix A

_REFUSED_CLASSES: Final = frozenset({"22", "54"})  # data exception, program limit exceeded: appendix A
_REFUSED_BY_SQLITE: Final = frozenset({"SQLITE_TOOBIG", "SQLITE_MISMATCH", "SQLITE_RANGE"})

_NOW: Final = {
    SQLITE: text("SELECT CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER) * 1000"),
    POSTGRESQL: text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"),
}

_BUSY_SECONDS: Final = 15

_SQLITE_PRAGMAS: Final = (
    "PRAGMA synchronous = FULL",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA secure_delete = ON",  # what is shredded is overwritten in the file, too
    "PRAGMA cache_size = -16384",  # 16 MiB a connection
    # Pages (16 MiB) that the log may hold before it is carried over: four times the default, for pages that many
    # messages touch are then carried over once and not four times.
    "PRAGMA wal_autocheckpoint = 4000",
)


class Database:
    """A database and the way to its transactions; one for each process. Safe to use from several threads."""

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        """Prepare (and not yet connect) to a SQLAlchemy URL: ``sqlite:///file`` or ``postgresql+psycopg://...``."""
        parsed = make_url(url)
        self.dialect = parsed.get_backend_name()
        if self.dialect == SQLITE:
            _make_file(parsed.database)
            connect_args: dict[str, Any] = {
                "check_same_thread": False,
                "timeout": _BUSY_SECONDS,
                "cached_statements": 256,
            }
        else:
            # A server that is silent, rather than gone, must not hold the writer: everything has an end.
            options = "-c synchronous_commit=on -c timezone=UTC -c lock_timeout=10s -c statement_timeout=60s"
            connect_args = {
                "connect_timeout": 5,
                "options": options,
                "application_name": "doorstep",
                "keepalives_idle": 30,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 15_000,
            }
        self.engine: Engine = create_engine(
            parsed,
            connect_args=connect_args,
            pool_size=pool_size,
            max_overflow=8,
            pool_timeout=10,
            hide_parameters=True,  # the text of an error must not carry a row
        )
        driver: Any = self.engine.dialect.dbapi  # whose own errors the hot path meets (bulk.py)
        self._driver_error: type[Exception] = driver.Error
        self._driver_conflict: type[Exception] = driver.IntegrityError
        self._reader: Engine = self.engine
        if self.dialect == POSTGRESQL:
            self._reader = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._writer = Turnstile() if self.dialect == SQLITE else contextlib.nullcontext()
        if self.dialect == SQLITE:
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that writes: committed durably when the block ends, rolled back when it raises."""
        with self._writer, self._domain_errors(), self.engine.connect() as plain:
            connection = plain.execution_options(doorstep_writes=True)
            try:
                with connection.begin():
                    yield connection
            except (DBAPIError, self._driver_error) as error:
                # After a failed write or fsync the connection's own state is not to be trusted: open a new one.
                if not isinstance(error, IntegrityError | self._driver_conflict):
                    connection.invalidate()
                raise

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads: one snapshot for all its statements; never waits for writers."""
        with self._domain_errors(), self._reader.connect() as connection, connection.begin():
            yield connection

    def empty_log(self) -> bool:
        """Bring SQLite's write-ahead log into the file and cut it to nothing; gives whether that could be done now.

        What is shredded is overwritten in the file at the next checkpoint, but lies in the log until that is
        overwritten, which on a quiet day may be never. Most is carried over beside the writers, who then wait for the
        rest: some 10 ms, mostly syncs. A reader in an older snapshot, or another process that writes, makes it
        impossible; nobody waits for those. PostgreSQL recycles its log by itself, so there is nothing to do.
        """
        if self.dialect != SQLITE:
            return True
        with self._domain_errors():
            pooled = self.engine.raw_connection()
            try:
                cursor = pooled.cursor()
                cursor.execute("PRAGMA busy_timeout = 0")
                cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                with self._writer:
                    [busy, *_] = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
                cursor.close()
            except self._driver_error:
                pooled.invalidate()  # with what timeout it was left is not known
                raise
            finally:
                pooled.close()
        return not busy

    @contextlib.contextmanager
    def _domain_errors(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            named = _named(error.orig, isinstance(error, IntegrityError))
            # Where it failed may be told, in what words not: PostgreSQL's own text quotes the row ("Key (...) exists").
            raise named.with_traceback(error.__traceback__) from None
        except self._driver_error as error:
            named = _named(error, isinstance(error, self._driver_conflict))
            raise named.with_traceback(error.__traceback__) from None
        except PoolTimeout:
            raise StorageUnavailable("pool") from None
        except SQLAlchemyError as error:
            raise StorageUnavailable(type(error).__name__).with_traceback(error.__traceback__) from None

    def now(self, connection: Connection) -> datetime:
        """The database's own clock: the one that leases are counted in, for all daemons alike."""
        return from_micros(int(connection.scalar(_NOW[self.dialect]) or 0))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def _make_file(database: str | None) -> None:
    """Make a new database file for its owner's eyes only; SQLite gives ``-wal`` and ``-shm`` the same mode."""
    if database and database != ":memory:":
        path = Path(database)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600, exist_ok=True)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself: _begin_sqlite does
    cursor = connection.cursor()
    _switch_to_wal(cursor)
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _switch_to_wal(cursor: sqlite3.Cursor) -> None:
    """Put the file into WAL, where it stays; only the very first connection to a new file has anything to do.

    While another process does the same, neither may wait inside SQLite: each would hold what the other waits for, until
    the timeout. So each gives way at once and comes back.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    cursor.execute("PRAGMA busy_timeout = 0")
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            break
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a writer that starts as a reader cannot wait for its turn, it fails.
    writes = connection.get_execution_options().get("doorstep_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _named(error: BaseException | None, conflict: bool) -> RecordsError:  # noqa: FBT001 (a fact)
    """The error by what to do next; of the driver's own text nothing is kept but its code."""
    code = str(getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None) or "driver")
    if conflict or code in _RETRY_STATES:
        return StorageConflict(code)
    if code[:2] in _REFUSED_CLASSES or code in _REFUSED_BY_SQLITE:
        return StorageRefused(code)
    return StorageUnavailable(code)

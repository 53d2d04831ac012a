"""One transaction on either database: durable, whole or not at all, and its errors say what to do next."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import (
    Column,
    Connection,
    Executable,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    event,
    func,
    insert,
    select,
    text,
)

from patient_records.errors import StorageConflict, StorageUnavailable
from patient_records.unit_of_work import Database
from tests.support.postgres import Cluster, private_cluster

THINGS = Table(
    "things",
    MetaData(),
    Column("id", Integer, primary_key=True),
    Column("word", Text, nullable=False, unique=True),
    Column("bulk", LargeBinary),
)
CANARY = "CANARYOLSEN"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with one table."""
    made = Database(database_url)
    THINGS.metadata.create_all(made.engine)
    yield made
    made.close()


def put(connection: Connection, number: int, word: str = "") -> None:
    connection.execute(insert(THINGS).values(id=number, word=word or str(number)))


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(THINGS)) or 0


def test_what_a_block_wrote_is_there_after_it(database: Database) -> None:
    with database.begin() as connection:
        put(connection, 1)
    assert count(database) == 1


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt()])
def test_a_block_that_raises_wrote_nothing_and_its_error_comes_out_as_it_is(
    database: Database, error: BaseException
) -> None:
    with pytest.raises(type(error)) as raised, database.begin() as connection:  # noqa: PT012 (the block is the subject)
        put(connection, 1)
        raise error
    assert raised.value is error
    assert count(database) == 0


def test_a_reader_never_waits_for_a_writer_nor_a_writer_for_a_reader(database: Database) -> None:
    with database.begin() as writer:
        put(writer, 1)
        assert count(database) == 0  # in this very thread: waiting would hang
    with database.read() as reader:
        assert reader.scalar(select(func.count()).select_from(THINGS)) == 1
        with database.begin() as writer:
            put(writer, 2)
        assert count(database) == 2


def test_all_statements_of_a_reader_see_one_snapshot(database: Database) -> None:
    with database.read() as reader:
        before = reader.scalar(select(func.count()).select_from(THINGS))
        with database.begin() as writer:
            put(writer, 1)
        assert reader.scalar(select(func.count()).select_from(THINGS)) == before == 0
    assert count(database) == 1


def test_postgresql_refuses_to_write_in_a_reader(postgres_url: str) -> None:
    database = Database(postgres_url)
    with pytest.raises(StorageUnavailable, match="25006"), database.read() as connection:
        connection.execute(text("CREATE TABLE t (i int)"))
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE t (i int)"))
    database.close()


def test_sqlite_holds_the_write_lock_from_the_first_moment(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
    with database.begin(), pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    database.close()


def test_sqlite_writers_take_turns_and_lose_no_update(sqlite_url: str) -> None:
    # Two "daemons" of four threads each: within one they queue on a lock, between the two on the file's.
    databases = [Database(sqlite_url), Database(sqlite_url)]
    with databases[0].begin() as connection:
        connection.execute(text("CREATE TABLE counter (n INTEGER)"))
        connection.execute(text("INSERT INTO counter VALUES (0)"))

    def count_up(number: int) -> None:
        for _ in range(25):
            with databases[number % 2].begin() as connection:
                read = connection.scalar(text("SELECT n FROM counter")) or 0
                connection.execute(text("UPDATE counter SET n = :n"), {"n": read + 1})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(8)))
    with databases[0].read() as connection:
        assert connection.scalar(text("SELECT n FROM counter")) == 200
    for database in databases:
        database.close()


def test_many_may_open_a_new_sqlite_file_at_the_same_time(tmp_path: Path) -> None:
    for turn in range(10):
        databases = [Database(f"sqlite:///{tmp_path / f'{turn}.db'}") for _ in range(8)]
        together = threading.Barrier(len(databases))

        def look(database: Database, together: threading.Barrier = together) -> object:
            together.wait(60)
            with database.begin() as connection:
                return connection.exec_driver_sql("PRAGMA journal_mode").scalar()

        with ThreadPoolExecutor(len(databases)) as pool:
            assert set(pool.map(look, databases)) == {"wal"}
        for database in databases:
            database.close()


def test_every_sqlite_connection_is_durable_and_shreds(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(database.read()) for _ in range(5)]
        connections.append(stack.enter_context(database.begin()))
        for connection in connections:
            pragmas = {
                name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "secure_delete", "temp_store", "busy_timeout")
            }
            assert pragmas == {
                "journal_mode": "wal",
                "synchronous": 2,  # FULL
                "secure_delete": 1,
                "temp_store": 2,  # MEMORY: no row in a temporary file
                "busy_timeout": 15000,
            }
    database.close()


def test_every_postgresql_connection_is_durable_whatever_the_database_says(postgres_url: str) -> None:
    careless = Database(postgres_url)
    with careless.begin() as connection:
        name = connection.scalar(text("SELECT current_database()"))
        connection.execute(text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
        connection.execute(text(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Tokyo'"))
    careless.close()
    database = Database(postgres_url)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(database.read()) for _ in range(3)]
        connections += [stack.enter_context(database.begin()) for _ in range(3)]
        for connection in connections:
            assert connection.scalar(text("SHOW synchronous_commit")) == "on"
            assert connection.scalar(text("SHOW timezone")) == "UTC"
    database.close()


def test_a_row_that_somebody_else_made_is_a_conflict(database: Database) -> None:
    with database.begin() as connection:
        put(connection, 1)
    with pytest.raises(StorageConflict) as raised, database.begin() as connection:
        put(connection, 1)
    assert raised.value.code in {"23505", "SQLITE_CONSTRAINT_PRIMARYKEY"}
    with database.begin() as connection:
        put(connection, 2)
    assert count(database) == 2


def test_the_text_of_an_error_never_holds_a_row(database: Database) -> None:
    with database.begin() as connection:
        put(connection, 1, CANARY)
    attempts: list[Executable] = [
        insert(THINGS).values(id=2, word=CANARY),
        insert(THINGS).values([{"id": 3, "word": CANARY}, {"id": 4, "word": None}]),
        select(THINGS.c.id).where(func.missing_function(THINGS.c.word) == CANARY),
    ]
    for attempt in attempts:
        with pytest.raises((StorageConflict, StorageUnavailable)) as raised, database.begin() as connection:
            connection.execute(attempt)
        told = "".join(traceback.format_exception(raised.value)) + str(raised.value) + repr(raised.value)
        assert CANARY not in told
        assert "connection.execute(attempt)" in told  # and still says where


def test_the_databases_clock_is_utc_and_runs(database: Database) -> None:
    with database.read() as connection:
        first, second = database.now(connection), database.now(connection)
    assert first.tzinfo is UTC
    assert first <= second
    assert abs(datetime.now(UTC) - first) < timedelta(hours=1)


def test_no_free_connection_is_unavailable(database_url: str) -> None:
    database = Database(database_url, pool_size=1)
    database.engine.pool._timeout = 0  # type: ignore[attr-defined]  # nobody will give one back
    with contextlib.ExitStack() as stack:
        for _ in range(9):
            stack.enter_context(database.read())
        with pytest.raises(StorageUnavailable, match="pool"), database.read():
            pass
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    database.close()


def test_a_full_disk_is_unavailable_until_there_is_room(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    THINGS.metadata.create_all(database.engine)
    full = True

    @event.listens_for(database.engine, "begin")
    def _limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count = {1 if full else 1 << 30}")

    for _ in range(2):
        with pytest.raises(StorageUnavailable, match="SQLITE_FULL"), database.begin() as connection:  # noqa: PT012
            put(connection, 1)
            connection.execute(insert(THINGS).values(id=2, word="2", bulk=bytes(1 << 20)))
        assert count(database) == 0
    full = False
    with database.begin() as connection:
        connection.execute(insert(THINGS).values(id=2, word="2", bulk=bytes(1 << 20)))
    assert count(database) == 1
    database.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL of this module's own, to be stopped and started."""
    with private_cluster(durable=False) as made:
        yield made


def test_a_stopped_postgresql_is_unavailable_until_it_is_back(cluster: Cluster) -> None:
    url = cluster.fresh_database()
    database = Database(url)
    THINGS.metadata.create_all(database.engine)
    with pytest.raises(StorageUnavailable), database.begin() as connection:  # noqa: PT012 (in the middle of the block)
        put(connection, 1)
        cluster.stop("immediate")
        put(connection, 2)
    for way in (database.begin, database.read):
        with pytest.raises(StorageUnavailable), way() as connection:
            connection.execute(text("SELECT 1"))
    cluster.start()
    assert count(database) == 0
    with database.begin() as connection:
        put(connection, 1)
    assert count(database) == 1
    database.close()


def by_core(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


def by_the_drivers_cursor(connection: Connection) -> None:
    connection.connection.cursor().execute("SELECT 1")  # as bulk.py does on the hot path


@pytest.mark.parametrize("ask", [by_core, by_the_drivers_cursor])
@pytest.mark.parametrize("way", [Database.begin, Database.read])
def test_a_restart_of_postgresql_costs_one_transaction_and_no_more(
    cluster: Cluster,
    way: Callable[[Database], contextlib.AbstractContextManager[Connection]],
    ask: Callable[[Connection], None],
) -> None:
    database = Database(cluster.fresh_database())
    with contextlib.ExitStack() as stack:  # several connections that know nothing of the restart
        for connection in [stack.enter_context(database.read()) for _ in range(4)]:
            ask(connection)
    cluster.stop()
    cluster.start()
    with pytest.raises(StorageUnavailable), way(database) as connection:
        ask(connection)
    with contextlib.ExitStack() as stack:
        for connection in [stack.enter_context(way(database)) for _ in range(4)]:
            ask(connection)
    database.close()


def test_a_new_folder_is_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    database = Database(f"sqlite:///{folder / 'doorstep.db'}")
    assert folder.stat().st_mode & 0o777 == 0o700
    database.close()

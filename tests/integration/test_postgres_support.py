"""The tests' own PostgreSQL: if it lied about its life or left something behind, every test on it would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import sqlalchemy

from tests.support.postgres import private_cluster
from tests.support.postgres_binaries import PostgresUnavailableError, find_binaries

ROOT = Path(__file__).resolve().parents[2]


def ask(url: str, statement: str) -> object:
    engine = sqlalchemy.create_engine(url)
    try:
        with engine.begin() as connection:
            return connection.exec_driver_sql(statement).scalar()
    finally:
        engine.dispose()


def test_each_test_has_a_database_of_its_own(database_url: str) -> None:
    engine = sqlalchemy.create_engine(database_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE only_here (n int)")
    assert sqlalchemy.inspect(engine).get_table_names() == ["only_here"]
    engine.dispose()


def test_what_was_committed_survives_kill_9_and_a_restart_on_the_same_address() -> None:
    with private_cluster() as cluster:
        url = cluster.fresh_database()
        assert ask(url, "SELECT current_setting('fsync')") == "on"
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE kept AS SELECT 7 AS n")
        engine.dispose()
        cluster.kill()
        with pytest.raises(sqlalchemy.exc.OperationalError):
            ask(url, "SELECT 1")
        cluster.start()
        assert ask(url, "SELECT n FROM kept") == 7
        assert ask(cluster.url(tcp=True), "SELECT 1") == 1
        folder = cluster.folder
    assert not folder.exists()


def test_an_owner_that_is_killed_takes_the_server_with_it() -> None:
    """The owner dies by SIGKILL while the server runs; the keeper holds our pipe, whose end tells that it is gone."""
    owner = textwrap.dedent("""
        import sys
        from tests.support.postgres import private_cluster
        with private_cluster(durable=False) as cluster:
            print((cluster.folder / "data" / "postmaster.pid").read_text().split()[0], cluster.folder, flush=True)
            sys.stdin.read()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", owner], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        postmaster, folder = process.stdout.readline().decode().split()
        os.kill(process.pid, signal.SIGKILL)
        process.stderr.read()  # the keeper inherited it: end of file comes when the keeper, too, is gone
        with pytest.raises(ProcessLookupError):
            os.kill(int(postmaster), 0)
        assert not Path(folder).exists()


def test_a_machine_without_postgresql_is_told_what_to_install() -> None:
    with pytest.raises(PostgresUnavailableError, match=r"apt-get install postgresql"):
        find_binaries(places=(lambda: iter(()),))


def test_a_template_is_prepared_once_and_copied() -> None:
    prepared = []

    def prepare(url: str) -> None:
        prepared.append(url)
        engine = sqlalchemy.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE prepared AS SELECT 1 AS n")
        engine.dispose()

    with private_cluster(durable=False) as cluster:
        urls = {cluster.fresh_database(cluster.template("support", prepare)) for _ in range(2)}
        assert [ask(url, "SELECT n FROM prepared") for url in urls] == [1, 1]
    assert len(prepared) == 1

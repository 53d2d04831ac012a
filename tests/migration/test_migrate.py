"""Empty to head, once, whoever asks and however often; and refusals that say what to do."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from daemon import migrate
from patient_records.errors import SchemaBehind
from patient_records.unit_of_work import Database

PROJECT = Path(__file__).parents[2]
OURS = migrate.REVISIONS

SECOND = f'''
"""A revision of the next release."""
import sqlalchemy as sa
from alembic import op
revision = "next"
down_revision = "{migrate.HEAD}"
def upgrade():
    op.create_table("second", sa.Column("id", sa.Integer, primary_key=True))
'''


def put_revision(database: Database, revision: str) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :revision"), {"revision": revision})


def state(database: Database) -> str:
    with database.read() as connection:
        return migrate.state(connection)


def tables_of(database: Database) -> set[str]:
    with database.read() as connection:
        return set(inspect(connection).get_table_names())


@pytest.fixture
def next_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the program one revision newer from now on; gives the new revision's file."""

    def release() -> Path:
        folder = tmp_path / "scripts of the next release"
        shutil.copytree(migrate.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        monkeypatch.setattr(migrate, "SCRIPTS", folder)
        monkeypatch.setattr(migrate, "REVISIONS", (*migrate.REVISIONS, "next"))
        monkeypatch.setattr(migrate, "HEAD", "next")
        return folder / "versions" / "next.py"

    script = release()
    script.write_text(SECOND)
    return script


def test_an_empty_database_is_brought_to_head(database: Database) -> None:
    assert state(database) == "empty"
    assert migrate.migrate(database) == migrate.REVISIONS
    assert state(database) == "head"
    assert {"patient_records", "journal", "outbox"} <= tables_of(database)


def test_a_second_time_is_nothing(database: Database) -> None:
    migrate.migrate(database)
    assert migrate.migrate(database) == ()
    assert migrate.require_head(database, migrate_on_start=True) == ()
    assert migrate.require_head(database, migrate_on_start=False) == ()


def test_a_version_table_without_a_row_counts_as_empty(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"))
    assert state(database) == "empty"
    assert migrate.migrate(database) == migrate.REVISIONS


ON_THE_WORD = """
import sys
import alembic.command
from daemon import migrate
from patient_records.unit_of_work import Database
print("ready", flush=True)
sys.stdin.readline()
print(migrate.migrate(Database(sys.argv[1])))
"""


def test_several_processes_at_once_do_it_once(database: Database, database_url: str) -> None:
    several = [
        subprocess.Popen(
            [sys.executable, "-c", ON_THE_WORD, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        for _ in range(3)
    ]
    for process in several:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in several:
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    told = [process.communicate(timeout=120)[0].strip() for process in several]
    assert sorted(told, key=len) == ["()", "()", str(migrate.REVISIONS)]
    assert state(database) == "head"


def test_from_the_first_release_to_the_next(
    database: Database, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate.migrate(database)
    request.getfixturevalue("next_release")
    assert state(database) == "behind"
    assert migrate.migrate(database) == ("next",)
    assert "second" in tables_of(database)
    monkeypatch.undo()
    assert state(database) == "ahead"


@pytest.mark.usefixtures("next_release")
def test_an_empty_database_goes_through_all_releases_at_once(database: Database) -> None:
    assert migrate.migrate(database) == (*OURS, "next")
    assert state(database) == "head"


def test_a_migration_that_fails_in_the_middle_leaves_the_database_as_it_was(
    database: Database, next_release: Path
) -> None:
    next_release.write_text(SECOND + "    raise RuntimeError('in the middle')\n")
    with pytest.raises(RuntimeError, match="in the middle"):
        migrate.migrate(database)
    assert state(database) == "empty"
    assert tables_of(database) == set()
    next_release.write_text(SECOND + "# mended\n")
    assert migrate.migrate(database) == (*OURS, "next")


def test_sqlite_migrates_itself_unasked(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    assert migrate.require_head(database, migrate_on_start=False) == migrate.REVISIONS
    assert state(database) == "head"
    database.close()


def test_postgresql_refuses_to_start_behind_head_and_says_what_to_do(postgres_url: str) -> None:
    database = Database(postgres_url)
    with pytest.raises(SchemaBehind, match=r"`doorstep migrate`.*database\.migrate_on_start = true"):
        migrate.require_head(database, migrate_on_start=False)
    assert state(database) == "empty"
    assert migrate.require_head(database, migrate_on_start=True) == migrate.REVISIONS
    database.close()


@pytest.mark.parametrize("migrate_on_start", [True, False])
def test_a_database_ahead_of_the_program_is_refused(database: Database, *, migrate_on_start: bool) -> None:
    migrate.migrate(database)
    put_revision(database, "0999")
    with pytest.raises(SchemaBehind, match="written by a newer doorstep"):
        migrate.require_head(database, migrate_on_start=migrate_on_start)
    with pytest.raises(SchemaBehind, match="written by a newer doorstep"):
        migrate.migrate(database)
    assert state(database) == "ahead"


def test_a_migration_says_nothing_of_its_own(
    database: Database, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO):
        migrate.migrate(database)
    assert [record for record in caplog.records if record.name.startswith("alembic")] == []
    assert capfd.readouterr() == ("", "")


START_AT_HEAD = """
import sys
from daemon import migrate
from patient_records.unit_of_work import Database
print(migrate.require_head(Database(sys.argv[1]), False), "alembic" in sys.modules)
"""


def test_a_start_at_head_never_imports_alembic(database: Database, database_url: str) -> None:
    migrate.migrate(database)
    told = subprocess.run(
        [sys.executable, "-c", START_AT_HEAD, database_url], check=True, capture_output=True, text=True, cwd=PROJECT
    )
    assert told.stdout == "() False\n"

"""The migrations make what the tables say: compared as alembic sees it, and as the database itself tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

import invites.tables  # noqa: F401 (puts its tables on the metadata)
import web.access.tables
import web.ops.tables  # noqa: F401 (they put their tables on the metadata)  # noqa: F401 (likewise)
from daemon import migrate
from patient_records.tables import metadata
from patient_records.unit_of_work import Database

MEND: Final = (
    "\nThe tables and daemon/migrations/versions/ differ. Write a new revision that makes what the tables say (new "
    "columns come last), or bring the one that you are writing in line with the tables, word for word.\n"
)

SQLITE_SCHEMA: Final = text("SELECT type, name, sql FROM sqlite_master WHERE tbl_name != 'alembic_version'")
POSTGRESQL_INDEXES: Final = text(
    "SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename != 'alembic_version'"
)
POSTGRESQL_COLUMNS: Final = text(
    "SELECT 'column', table_name || '.' || column_name,"
    " concat_ws(' ', ordinal_position, data_type, character_maximum_length, is_nullable, column_default, is_identity)"
    " FROM information_schema.columns WHERE table_schema = 'public' AND table_name != 'alembic_version'"
)
POSTGRESQL_CONSTRAINTS: Final = text(
    "SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text != 'alembic_version'"
)


def schema(connection: Connection) -> dict[tuple[str, str], str]:
    """Everything the database says of its own tables, columns, indexes and constraints.

    A table that a migration made anew and renamed has its name in quotes; that is no difference.
    """
    if connection.dialect.name == "sqlite":
        questions = [SQLITE_SCHEMA]
    else:
        questions = [POSTGRESQL_INDEXES, POSTGRESQL_COLUMNS, POSTGRESQL_CONSTRAINTS]
    rows = [row for question in questions for row in connection.execute(question)]
    return {(kind, name): " ".join((definition or "").replace('"', "").split()) for kind, name, definition in rows}


def differences(migrated: dict[Any, str], declared: dict[Any, str]) -> str:
    """One paragraph for each thing that is not the same in both."""
    differing = [t for t in sorted(migrated.keys() | declared.keys()) if migrated.get(t) != declared.get(t)]
    return "\n".join(
        f"{' '.join(thing)}\n  migration: {migrated.get(thing, 'absent')}\n  tables: {declared.get(thing, 'absent')}"
        for thing in differing
    )


def test_the_database_tells_the_same_of_itself_by_migration_as_by_create_all(
    database: Database, twin: Database
) -> None:
    migrate.migrate(database)
    metadata.create_all(twin.engine)
    with database.read() as connection, twin.read() as other:
        migrated, declared = schema(connection), schema(other)
    differing = differences(migrated, declared)
    assert not differing, MEND + differing
    assert len(declared) > len(metadata.tables)


def test_alembic_itself_finds_nothing_left_to_do(database: Database) -> None:
    migrate.migrate(database)
    with database.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)
    assert not found, MEND + "\n".join(map(str, found))


def test_the_list_of_revisions_is_the_folder_of_scripts() -> None:
    scripts = ScriptDirectory(str(migrate.SCRIPTS))
    in_folder = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(in_folder)) == migrate.REVISIONS
    assert scripts.get_current_head() == migrate.HEAD


def test_a_new_revision_can_be_made_from_the_template(tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "script.py.mako").write_bytes((migrate.SCRIPTS / "script.py.mako").read_bytes())
    config = Config()
    config.set_main_option("script_location", str(folder))
    scripts = ScriptDirectory.from_config(config)
    made = scripts.generate_revision("0001", "a thing changes", upgrades="pass")
    assert made is not None
    assert scripts.get_current_head() == "0001"

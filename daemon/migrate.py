"""Bringing a database to the program's schema, or refusing to run on it.

The table ``alembic_version`` holds one revision. Three things can be wrong with it: it is missing (*empty*), it is one
of ours but not the newest (*behind*), or we have never heard of it (*ahead*: a newer doorstep wrote here).
:func:`migrate` mends the first two; the third only the newer program can, and running on regardless would damage what
it wrote.

A whole migration is one transaction under one lock, so that two processes that start together do it once, and a process
that dies in the middle leaves the database as it was. SQLite and PostgreSQL both undo DDL.

Alembic costs 0.3 s and 10 MiB to import, and nearly every start finds its database at head: so whether there is
anything to do is decided without it, and it is imported only to do it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sqlalchemy import Connection, inspect, text

from patient_records.errors import SchemaBehind
from patient_records.unit_of_work import POSTGRESQL, SQLITE, Database

REVISIONS: Final = (
    "0001",
    "0002",
    "0003",
    "0004",
    "0005",
    "0006",
    "0007",
    "0008",
    "0009",
    "0010",
    "0011",
    "0012",
    "0013",
)
"""Every revision in ``migrations/versions``, oldest first; a test holds the two together."""

HEAD: Final = REVISIONS[-1]
"""The revision that this program reads and writes."""

SCRIPTS: Final = Path(__file__).with_name("migrations")
"""Alembic's folder, in the source tree and in an installed wheel alike."""

State: TypeAlias = Literal["empty", "behind", "head", "ahead"]

_VERSION_TABLE: Final = "alembic_version"
_ADVISORY_LOCK: Final = 0x646F6F7273746570  # "doorstep" in ASCII: any number does, as long as nobody else takes it

_AHEAD: Final = "this database was written by a newer doorstep: run that version, or restore a backup from before it"
_BEHIND: Final = (
    "the database is behind this version of doorstep: run `doorstep migrate`, "
    "or set database.migrate_on_start = true to have `doorstep serve` do it"
)


def state(connection: Connection) -> State:
    """Say how the database stands to this program, from the version table alone."""
    found = _revision(connection)
    if found is None:
        return "empty"
    if found == HEAD:
        return "head"
    return "behind" if found in REVISIONS else "ahead"


def migrate(database: Database) -> tuple[str, ...]:
    """Bring the database to :data:`HEAD`; gives the revisions that were applied, none when it was there already.

    Raises :class:`SchemaBehind` when the database is ahead, StorageUnavailable or StorageConflict when the database
    fails; then nothing has changed.
    """
    with database.begin() as connection:  # BEGIN IMMEDIATE on SQLite: one at a time
        if database.dialect == POSTGRESQL:
            # Another process's migration, and one's own, take as long as they take.
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            connection.execute(text("SET LOCAL lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        stands = state(connection)
        if stands == "ahead":
            raise SchemaBehind(_AHEAD)
        if stands == "head":
            return ()
        missing = _missing(_revision(connection))
        _upgrade(connection)
        return missing


def require_head(database: Database, migrate_on_start: bool) -> tuple[str, ...]:  # noqa: FBT001 (the setting's value)
    """Let the daemon start only on a database that it understands; gives the revisions that were applied for it.

    SQLite always migrates itself: it has one program and nobody to ask. PostgreSQL does so only if configured, because
    several daemons share it and the older ones among them would find a schema they do not know. Raises
    :class:`SchemaBehind` with what to do.
    """
    with database.read() as connection:
        stands = state(connection)
    if stands == "head":
        return ()
    if stands == "ahead":
        raise SchemaBehind(_AHEAD)
    if database.dialect == SQLITE or migrate_on_start:
        return migrate(database)
    raise SchemaBehind(_BEHIND)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {_VERSION_TABLE}"))
    return found


def _missing(revision: str | None) -> tuple[str, ...]:
    return REVISIONS if revision is None else REVISIONS[REVISIONS.index(revision) + 1 :]


def _upgrade(connection: Connection) -> None:
    """Run alembic on this connection, inside its transaction."""
    from alembic import command  # noqa: PLC0415 (0.3 s and 10 MiB that nearly no start needs)
    from alembic.config import Config  # noqa: PLC0415 (likewise)

    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells each step at INFO; the caller tells the result
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))  # ConfigParser's own escape
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)

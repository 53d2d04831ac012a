"""What every benchmark works with: its scale, its folder on a real disk, its databases, a place to say how far it is.

PostgreSQL is one private cluster for the whole run, with ``fsync`` on and everything else as it comes; it is started by
the first benchmark that needs it, and each measurement gets its own database. Whatever was made is gone at the end.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import click
from sqlalchemy import text

from benchmarks.machine import filesystem, in_memory
from benchmarks.scale import Scale
from patient_records.unit_of_work import Database
from tests.support.daemon_process import DaemonProcess
from tests.support.postgres import Cluster, private_cluster

SQLITE: Final = "SQLite"
POSTGRESQL: Final = "PostgreSQL"
DATABASES: Final = (SQLITE, POSTGRESQL)

CALM: Final[dict[str, Any]] = {"invitations": {"every": "24h"}}
"""Nobody is invited while ingest is measured, but that each start looks once."""

NOBODY_OF_AGE: Final[dict[str, Any]] = {"invitations": {"every": "24h", "minimum_age": 120}}
"""For databases that hold people already: nobody may be invited, so a start finds nothing to do."""


class Workbench:
    """One run's. Use as a context manager."""

    def __init__(self, scale: Scale, databases: Iterable[str] = DATABASES, folder: Path | None = None) -> None:
        """Work in a new folder inside ``folder``; by default where temporary files lie, if that is a disk."""
        self.scale: Final = scale
        self.databases: Final = tuple(databases)
        self._parent = folder or disk_folder()
        self._numbers = itertools.count(1)
        self._serial = 0
        self._cluster: Cluster | None = None
        self._exits = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="doorstep-bench-", dir=self._parent))
        self._exits.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exits.close()

    def say(self, what: str) -> None:
        """Say on standard error what is being done."""
        print(what, file=sys.stderr, flush=True)

    def serials(self, count: int) -> int:
        """Give the first of so many serials of people that no message of this run has spoken of."""
        first, self._serial = self._serial, self._serial + count
        return first

    def postgres(self) -> Cluster:
        """Give the run's cluster, started."""
        if self._cluster is None:
            self._cluster = self._exits.enter_context(private_cluster(durable=True))
            if in_memory(self._cluster.folder):
                self.say("PostgreSQL lies in memory here: its fsync costs nothing, and its numbers say nothing")
        return self._cluster

    @property
    def postgres_filesystem(self) -> str:
        """The type of the file system that the cluster lies on."""
        return filesystem(self.postgres().folder) or "an unknown file system"

    def postgres_setting(self, name: str) -> str:
        """Give a setting of the cluster as a connection of the daemon's has it."""
        database = Database(self.postgres().url())
        try:
            with database.read() as connection:
                return str(connection.scalar(text(f"SHOW {name}")))
        finally:
            database.close()

    def daemon(self, database: str, changes: Mapping[str, Any] | None = None) -> DaemonProcess:
        """Give a daemon that is not started, in a new folder and on a new database of that kind."""
        folder = self.folder / f"daemon-{next(self._numbers)}"
        url = self.postgres().fresh_database() if database == POSTGRESQL else None
        return DaemonProcess(folder, url, CALM if changes is None else changes)

    def discard(self, daemon: DaemonProcess) -> None:
        """End a daemon and remove all that it has."""
        daemon.kill()
        shutil.rmtree(daemon.folder, ignore_errors=True)
        if self._cluster is not None and daemon.database_url.startswith("postgresql"):
            self._cluster.drop(daemon.database_url)


def disk_folder() -> Path:
    """Give a folder for temporary files that lies on a disk: in memory, durability would cost nothing."""
    for place in (tempfile.gettempdir(), "/var/tmp", "."):  # noqa: S108 (a new folder is made in it, ours alone)
        folder = Path(place)
        if folder.is_dir() and not in_memory(folder):
            return folder
    raise click.ClickException("no folder on a disk was found: name one with --folder")

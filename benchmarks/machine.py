"""What a run was made on: enough to judge its numbers by, and no name or path of the machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
from pathlib import Path

from msgspec import Struct

from tests.support.postgres_binaries import PostgresUnavailableError, find_binaries

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})


class Machine(Struct, frozen=True):
    """The machine as it was at the start; ``load`` is its load average of the last minute, before anything ran."""

    cores: int
    system: str
    python: str
    sqlite: str
    postgresql: str
    load: float
    filesystem: str

    @property
    def line(self) -> str:
        """All of it in one line."""
        return (
            f"{self.cores} cores, {self.system}, Python {self.python}, SQLite {self.sqlite}, {self.postgresql}, "
            f"{self.filesystem}, load {self.load:.1f} before the start"
        )


def describe(folder: Path) -> Machine:
    """Describe this machine, and the kind of file system that ``folder`` lies on."""
    return Machine(
        cores=_cores(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
        postgresql=_postgresql(),
        load=os.getloadavg()[0],
        filesystem=filesystem(folder) or "unknown file system",
    )


def _cores() -> int:
    """Cores that this process may use, which a container may have fewer of than the machine."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _postgresql() -> str:
    try:
        program = find_binaries() / "postgres"
    except PostgresUnavailableError:
        return "no PostgreSQL"
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout.split()
    return f"PostgreSQL {said[2]}" if len(said) > 2 else "PostgreSQL"


def filesystem(folder: Path) -> str | None:
    """Give the type of the file system of a folder, as Linux tells it; None where that cannot be told."""
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return None
    place = folder.resolve()
    types = {Path(fields[1]): fields[2] for fields in map(str.split, mounts)}
    return next((types[parent] for parent in (place, *place.parents) if parent in types), None)


def in_memory(folder: Path) -> bool:
    """Whether a folder lies in memory, where an fsync costs nothing and means nothing."""
    return filesystem(folder) in _IN_MEMORY

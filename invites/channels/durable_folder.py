"""A folder in which a file that has its final name is whole and lasts.

A file is written under a name of its own, made durable, and then linked to its final name, which ``link(2)`` refuses to
give twice. Threads that write at the same time share one sync of the folder. What a killed process leaves behind is a
hidden ``.part`` file and nothing else.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Final

PART: Final = ".part"
_ABANDONED: Final = 3600.0
"""Seconds after which a part file has no living writer: a write takes milliseconds."""

_WHAT: Final = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EFBIG: "full",
    errno.EACCES: "denied",
    errno.EPERM: "denied",
    errno.EROFS: "denied",
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
}


class DurableFolder:
    """One channel's folder, and the shared sync of its entries."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._tickets = count(1)
        self._syncing = Lock()
        self._synced = 0

    def prepare(self) -> None:
        """Make the folder, for its owner alone, and sweep what killed writers left."""
        self._path.mkdir(mode=0o700, exist_ok=True)
        oldest = time.time() - _ABANDONED
        for part in self._path.glob(f".*{PART}"):
            with suppress(FileNotFoundError):  # another daemon sweeps too
                if part.stat().st_mtime < oldest:
                    part.unlink()

    def has(self, name: str) -> bool:
        """Whether the file is there. Raises OSError when that cannot be told."""
        try:
            (self._path / name).lstat()
        except FileNotFoundError:
            return False
        return True

    def put(self, name: str, content: bytes) -> None:
        """Give the content that name, durably, unless a file has it already. Raises OSError and leaves nothing."""
        if self.has(name):
            return
        part = self._path / f".{name}.{secrets.token_hex(8)}{PART}"
        try:
            write_durably(part, content)
            with suppress(FileExistsError):
                (self._path / name).hardlink_to(part)
        finally:
            with suppress(OSError):
                part.unlink()

    def sync(self) -> None:
        """Make every entry that is in the folder by now durable; who waits for a sync that began later has it too."""
        ticket = next(self._tickets)
        with self._syncing:
            if self._synced >= ticket:
                return
            covers = next(self._tickets)  # every smaller ticket was drawn after its link, before this sync
            sync_folder(self._path)
            self._synced = covers


def write_durably(path: Path, content: bytes) -> None:
    """Make a new file of that content, for its owner alone, and wait until it is on the disk. Raises OSError."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable. Raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fault_code(whose: str, fault: OSError) -> str:
    """Give what a disk refused as a code: ``<whose>_full``, ``_denied``, ``_missing`` or ``_failed``."""
    return f"{whose}_{_WHAT.get(fault.errno or 0, 'failed')}"

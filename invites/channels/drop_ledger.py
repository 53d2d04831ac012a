"""Which letters were handed over in the last days, so that none is handed over twice.

A batch leaves the drop folder when the print house takes it, so the folder itself cannot say what was in it. The ledger
can: a file a day, ``<folder>/YYYY-MM-DD.txt``, with a line for each reference, appended and synced before its batch is
renamed into place. Every daemon reads what the others appended: a file only grows, and what has no line end yet is a
line that a killed daemon did not finish. References tell nothing without the database.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from invites.channels.durable_folder import sync_folder

_SUFFIX: Final = ".txt"


class DropLedger:
    """The ledger in that folder. Calls raise OSError when it cannot be read or written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, set[str]] = {}
        self._read: dict[str, int] = {}
        self._turn = Lock()

    def __contains__(self, reference: str) -> bool:
        """Whether a letter of that reference was handed over, by whatever daemon, as far back as the files go."""
        with self._turn:
            self._catch_up()
            return any(reference in day for day in self._known.values())

    def append(self, references: Iterable[str], today: date) -> None:
        """Write down that these are handed over, durably. Writing them twice does no harm."""
        path = self._folder / f"{today.isoformat()}{_SUFFIX}"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            view = memoryview("\n".join(["", *references, ""]).encode("ascii"))  # begins anew after a torn line
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        sync_folder(self._folder)

    def forget(self, today: date, remember: timedelta) -> None:
        """Delete the days that are further back than that."""
        with self._turn:
            for path in self._folder.glob(f"*{_SUFFIX}"):
                if path.stem < (today - remember).isoformat():
                    path.unlink(missing_ok=True)
                    self._known.pop(path.name, None)
                    self._read.pop(path.name, None)

    def _catch_up(self) -> None:
        with os.scandir(self._folder) as entries:
            grown = [entry.name for entry in entries if entry.stat().st_size > self._read.get(entry.name, 0)]
        for name in grown:
            self._read_on(name)

    def _read_on(self, name: str) -> None:
        with (self._folder / name).open("rb") as file:
            file.seek(self._read.get(name, 0))
            whole, _, _ = file.read().rpartition(b"\n")
        self._known.setdefault(name, set()).update(whole.decode("ascii").split())
        self._read[name] = self._read.get(name, 0) + len(whole)

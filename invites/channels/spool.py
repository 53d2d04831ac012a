"""The provider that writes files: for the demo, for tests, and for whoever carries messages on by other means.

Theory. A message is a file named after its reference, ``<folder>/<channel>/<reference>.<txt|eml|pdf>``. It is written
under a name of its own, made durable, and then linked to its final name, which ``link(2)`` refuses to give twice. So a
file under its final name is always whole, and the same reference sent again, by whatever thread, daemon or attempt,
finds the first one and is :class:`Accepted` without a second. That is why the spool *deduplicates*: an unknown outcome
is settled by sending again, with no gap between a search and what follows from it. This holds for as long as the file
stays in its folder; whoever takes files away should leave them until the delivery has been given up or finished.

Accepted is said after the file and its entry in the folder are on the disk. Threads that send at the same time share
one sync of the folder. What a killed process leaves behind is a hidden ``.part`` file, never a message; the next start
sweeps it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Final

from invites.channels.channel import (
    EMAIL,
    LETTER,
    SMS,
    Accepted,
    NotSent,
    Outcome,
    Refused,
    Request,
    Settlement,
    Unknown,
)

_SUFFIX: Final = {SMS: ".txt", EMAIL: ".eml", LETTER: ".pdf"}
_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,64}").fullmatch
_PART: Final = ".part"
_ABANDONED: Final = 3600.0
"""Seconds after which a part file has no living writer: a write takes milliseconds."""

_CODES: Final = {
    errno.ENOSPC: "spool_full",
    errno.EDQUOT: "spool_full",
    errno.EFBIG: "spool_full",
    errno.EACCES: "spool_denied",
    errno.EPERM: "spool_denied",
    errno.EROFS: "spool_denied",
    errno.ENOENT: "spool_missing",
    errno.ENOTDIR: "spool_missing",
}


class Spool:
    """Writes each message to a file of its own below ``folder``. Raises OSError when that cannot be made.

    A folder that goes away later is not made again: it may be a disk that was unmounted, and what was written in its
    place would be found by nobody. Sending is NotSent until it is back.
    """

    name = "spool"
    settlement = Settlement.DEDUPLICATES

    def __init__(self, folder: Path) -> None:
        self._folders = {channel: _Folder(folder / channel) for channel in _SUFFIX}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for box in self._folders.values():
            box.prepare()

    def send(self, request: Request) -> Outcome:
        """Write the file. NotSent when the disk is full or closed to us, Unknown when it stands but may not last."""
        box = self._folders.get(request.channel)
        if box is None:
            return Refused("no_such_channel")
        if not _REFERENCE(request.reference):
            return Refused("bad_reference")
        name = request.reference + _SUFFIX[request.channel]
        try:
            box.put(name, _content(request))
        except OSError as fault:
            return NotSent(_code(fault))
        return self._settled(box, request.channel, name)

    def search(self, reference: str) -> Outcome:
        """Look for the reference's file in every channel's folder."""
        if not _REFERENCE(reference):
            return NotSent("bad_reference")
        for channel, suffix in _SUFFIX.items():
            try:
                found = self._folders[channel].has(reference + suffix)
            except OSError as fault:
                return Unknown(_code(fault))
            if found:
                return self._settled(self._folders[channel], channel, reference + suffix)
        return NotSent("not_in_spool")

    def _settled(self, box: _Folder, channel: str, name: str) -> Outcome:
        """A file that is there counts once its folder is on the disk too."""
        try:
            box.sync()
        except OSError as fault:
            return Unknown(_code(fault))
        return Accepted(f"{channel}/{name}")


class _Folder:
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
        for part in self._path.glob(f".*{_PART}"):
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
        part = self._path / f".{name}.{secrets.token_hex(8)}{_PART}"
        try:
            _write(part, content)
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
            handle = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            self._synced = covers


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _content(request: Request) -> bytes:
    """A text message carries its number; the others say whom they are for."""
    return b"To: %s\n\n%s\n" % (request.to.encode(), request.body) if request.channel == SMS else request.body


def _code(fault: OSError) -> str:
    return _CODES.get(fault.errno or 0, "spool_failed")

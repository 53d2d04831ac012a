"""The provider for print houses: letters gathered, and handed over a batch at a time (SPEC 6).

Theory. Below the folder lie

* ``batches/<batch>/``: what the print house takes, each with its letters, ``manifest.csv`` and ``batch.json``;
* ``.open/``: letters that are in no batch yet;
* ``.closing-<batch>/``: a batch that is being made;
* ``.ledger/``: the references of what was handed over (:mod:`invites.channels.drop_ledger`); ``.lock``.

A letter is *accepted* once it lies durably in ``.open``: from there it goes out, whatever happens to this process. When
the lane has sent all that was due, :meth:`DropFolder.close_batch` **renames** ``.open`` as a whole, writes manifest,
sums and ledger into their places, each synced, and renames the folder into ``batches`` as the last step. So a letter is
at every instant in exactly one folder, and a folder in ``batches`` is whole. A process killed between the two renames
leaves a ``.closing`` folder, which whoever closes next finishes; each step may be done twice.

It *deduplicates*: a reference that is in ``.open``, in a ``.closing`` folder or in the ledger is accepted again without
a second letter. Senders hold a shared lock on ``.lock`` while they look and write, and who closes holds it alone, so
that no letter changes its place between the look and the writing; the lock is the operating system's and goes with the
process that had it. Several daemons may share the folder, on a local disk or on NFS.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from invites.channels.batch_manifest import (
    FIELDS,
    PDF,
    kind_of,
    page_count,
    references,
    write_manifest,
    write_sums,
)
from invites.channels.channel import (
    LETTER,
    Accepted,
    HandedOver,
    NotSent,
    Outcome,
    Refused,
    Request,
    Settlement,
    Unknown,
)
from invites.channels.drop_ledger import DropLedger
from invites.channels.durable_folder import PART, DurableFolder, fault_code, sync_folder

BATCHES: Final = "batches"

_OPEN: Final = ".open"
_CLOSING: Final = ".closing-"
_LEDGER: Final = ".ledger"
_LOCK: Final = ".lock"
_WHOSE: Final = "dropfolder"
_REFERENCE: Final = re.compile(r"[A-Za-z0-9-]{1,64}").fullmatch


class DropFolder:
    """Gathers letters below ``folder`` and closes batches of them. Raises OSError when the folder cannot be made.

    ``remember`` is for how long a reference is known after its batch was closed: longer than an unknown outcome is
    tried again. ``progress`` hears after each letter how many this process has gathered since the last batch.
    """

    name = "dropfolder"
    settlement = Settlement.DEDUPLICATES
    settle_after = timedelta(0)

    def __init__(
        self,
        folder: Path,
        now: Callable[[], datetime],
        *,
        remember: timedelta = timedelta(days=3),
        progress: Callable[[int], None] = lambda _gathered: None,
    ) -> None:
        self._folder = folder
        self._now = now
        self._remember = remember
        self._progress = progress
        self._gathered = 0
        self._open = DurableFolder(folder / _OPEN)
        self._ledger = DropLedger(folder / _LEDGER)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in (BATCHES, _LEDGER):
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600))
        with self._locked(fcntl.LOCK_EX):
            self._open.prepare()
            sync_folder(folder)

    def send(self, request: Request) -> Outcome:
        """Gather the letter. NotSent when the disk is full or closed to us, Unknown when it may not last."""
        ending = kind_of(request.body) if request.channel == LETTER else None
        if ending is None:
            return Refused("no_such_channel" if request.channel != LETTER else "not_a_letter")
        if not _REFERENCE(request.reference):
            return Refused("bad_reference")
        if ending == PDF and not page_count(request.body):
            return Refused("letter_unreadable")  # here, for it would keep its whole batch from being closed
        try:
            with self._locked(fcntl.LOCK_SH):
                if self._elsewhere(request.reference):
                    return self._accepted(request.reference)
                if not self._holds(request.reference):
                    self._open.put(request.reference + ending, request.body)
                return self._settled(request.reference)
        except OSError as fault:
            return NotSent(fault_code(_WHOSE, fault))

    def search(self, reference: str) -> Outcome:
        """Look for the reference among the gathered, the closing and the handed over."""
        if not _REFERENCE(reference):
            return NotSent("bad_reference")
        try:
            with self._locked(fcntl.LOCK_SH):
                if self._elsewhere(reference):
                    return self._accepted(reference)
                return self._settled(reference) if self._holds(reference) else NotSent("not_in_dropfolder")
        except OSError as fault:
            return Unknown(fault_code(_WHOSE, fault))

    def close_batch(self) -> HandedOver | None:
        """Hand over what was gathered, as one batch; None when there is nothing.

        A batch that a killed process left is finished first, and reported in its place: the next call closes the next.
        """
        try:
            if not self._anything():
                return None
            with self._locked(fcntl.LOCK_EX):
                left = self._left() or self._taken()
                return None if left is None else self._finished(left)
        except OSError as fault:
            return HandedOver(code=fault_code(_WHOSE, fault))

    def _anything(self) -> bool:
        """Whether there is anything to close: a look without the lock, for this is asked every few seconds."""
        if self._left() is not None:
            return True
        with os.scandir(self._folder / _OPEN) as gathered:
            return any(gathered)

    def _left(self) -> Path | None:
        return next(iter(sorted(self._folder.glob(f"{_CLOSING}*"))), None)

    def _taken(self) -> Path | None:
        """Take all that was gathered out of the senders' reach, in one step."""
        opened = self._folder / _OPEN
        for part in opened.glob(f".*{PART}"):
            part.unlink()  # a killed writer's: we are alone
        if not any(opened.iterdir()):
            return None
        made_at = self._now().astimezone(UTC)
        closing = self._folder / f"{_CLOSING}{made_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        opened.rename(closing)
        self._open.prepare()
        sync_folder(self._folder)
        self._gathered = 0
        return closing

    def _finished(self, closing: Path) -> HandedOver:
        """Make a taken folder a batch; every step but the last may be done again."""
        self._open.prepare()
        batch, now = closing.name.removeprefix(_CLOSING), self._now().astimezone(UTC)
        write_manifest(closing)
        sync_folder(closing)
        sums = write_sums(closing, batch, now)
        self._ledger.append(references(closing), now.date())
        for merged in closing.glob(f"*{FIELDS}"):
            merged.unlink()
        sync_folder(closing)
        closing.rename(self._folder / BATCHES / batch)
        sync_folder(self._folder / BATCHES)
        sync_folder(self._folder)
        self._ledger.forget(now.date(), self._remember)
        return HandedOver(batch, sums.letters, sums.pages)

    def _holds(self, reference: str) -> bool:
        return any(self._open.has(reference + ending) for ending in (PDF, FIELDS))

    def _elsewhere(self, reference: str) -> bool:
        """Whether the letter left ``.open`` already."""
        for closing in self._folder.glob(f"{_CLOSING}*"):
            if any((closing / (reference + ending)).exists() for ending in (PDF, FIELDS)):
                return True
        return reference in self._ledger

    def _settled(self, reference: str) -> Outcome:
        """A letter that is there counts once its folder is on the disk too."""
        try:
            self._open.sync()
        except OSError as fault:
            return Unknown(fault_code(_WHOSE, fault))
        self._gathered += 1
        self._progress(self._gathered)
        return self._accepted(reference)

    @staticmethod
    def _accepted(reference: str) -> Accepted:
        return Accepted(f"{_WHOSE}/{reference}")

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Hold the folder's lock. Raises OSError when the folder is not there."""
        handle = os.open(self._folder / _LOCK, os.O_RDWR)
        try:
            fcntl.flock(handle, how)
            yield
        finally:
            os.close(handle)

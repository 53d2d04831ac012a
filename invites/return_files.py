"""Return files, read back from the drop folder: each once, whatever happens (SPEC 6).

A file in ``returns/`` is read, its receipts are taken in, and it is moved to ``returns/done/``; where lines could not
be read, a list of them lies beside it. A process that dies before the move leaves the file, and it is read again:
receipts may be taken twice, for a repeat says nothing new (:mod:`invites.receipts`). Only names that end in ``.csv``
are read, none that is hidden, and no file that changed in the last seconds: it may still be being written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from msgspec import Struct

from invites.channels.durable_folder import sync_folder, write_durably
from invites.letter_returns import LineFault, Returns, faults_as_csv, read_returns
from invites.receipt import Receipt
from invites.receipts import ReceiptReport

DONE: Final = "done"

SETTLED: Final = timedelta(seconds=5)
"""How long a file must have been left alone: who copies a file into place has written it by then."""

_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a return file: half a million letters."""

_CHUNK: Final = 500
"""Receipts in one transaction."""


class ReturnsReport(Struct):
    """What one look came to: files, receipts taken, lines that could not be read, receipts that found no letter."""

    files: int = 0
    receipts: int = 0
    faults: int = 0
    unmatched: int = 0


class ReturnFiles:
    """Reads the return files of one folder. Raises OSError when it cannot be made."""

    def __init__(
        self,
        folder: Path,
        take: Callable[[Sequence[Receipt]], ReceiptReport],
        provider: str,
        zone: tzinfo,
        now: Callable[[], datetime],
    ) -> None:
        """``take`` takes receipts in, ``provider`` is the drop folder's name in the outbox."""
        self._folder = folder
        self._take = take
        self._provider = provider
        self._zone = zone
        self._now = now
        (folder / DONE).mkdir(mode=0o700, parents=True, exist_ok=True)

    def run(self, stopping: Callable[[], bool] = lambda: False) -> ReturnsReport:
        """Read every file that is there; ends early, between files, when stopping.

        Raises StorageUnavailable or StorageConflict, and OSError: the file stays and is read at the next look. One that
        cannot be read or moved holds up no other: the others are read before that is raised.
        """
        report, fault = ReturnsReport(), None
        for path in self._waiting():
            if stopping():
                break
            try:
                self._read(path, report)
            except FileNotFoundError:
                continue  # another daemon was quicker
            except OSError as error:
                fault = error
        if fault is not None:
            raise fault
        return report

    def _waiting(self) -> list[Path]:
        latest = (self._now() - SETTLED).timestamp()
        found = (path for path in self._folder.iterdir() if path.suffix.lower() == ".csv" and path.name[0] != ".")
        return sorted(path for path in found if path.is_file() and path.stat().st_mtime <= latest)

    def _read(self, path: Path, report: ReturnsReport) -> None:
        returns = self._returns(path)
        for at in range(0, len(returns.receipts), _CHUNK):
            taken = self._take(returns.receipts[at : at + _CHUNK])
            report.unmatched += taken.unmatched
        self._put_away(path, returns.faults)
        report.files += 1
        report.receipts += len(returns.receipts)
        report.faults += len(returns.faults)

    def _returns(self, path: Path) -> Returns:
        if path.stat().st_size > _LARGEST:
            return Returns((), (LineFault(1, "the file is too large: send several"),))
        return read_returns(path.read_bytes(), self._provider, self._zone, self._now())

    def _put_away(self, path: Path, faults: tuple[LineFault, ...]) -> None:
        """Move the file to the read ones, under a name that none of them has."""
        done = self._folder / DONE
        name = path.name
        while (done / name).exists():
            name = f"{path.stem}-{self._now():%Y%m%dT%H%M%S%f}{path.suffix}"
        if faults:
            told = done / f"{name}.faults.txt"
            told.unlink(missing_ok=True)
            write_durably(told, "".join(faults_as_csv(faults)).encode())
        path.rename(done / name)
        sync_folder(done)
        sync_folder(self._folder)

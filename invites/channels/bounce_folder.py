"""Bounces out of a Maildir, the folder that a mail server delivers the bounce address to.

New mails are read where they lie, what they say is taken in, and only then are they moved to ``cur``: one that was
understood as seen, any other unseen, for the person who looks after that mailbox. Whoever dies in between, or shares
the folder with another daemon, takes a receipt in twice, which changes nothing. No mail is ever deleted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from errno import EINVAL
from pathlib import Path
from stat import S_ISREG
from typing import Final

from msgspec import Struct

from invites.channels.bounce import MOST_BYTES, receipt_of
from invites.receipt import Receipt

_CHUNK: Final = 50
_SEEN: Final = ":2,S"
_UNSEEN: Final = ":2,"


class BounceReport(Struct):
    """What one look found: mails understood as bounces, others, left for a person, and what is no readable file."""

    bounces: int = 0
    others: int = 0
    unreadable: int = 0


class BounceFolder:
    """Reads one Maildir (new, cur, tmp). ``take`` takes receipts in, and raises when it cannot just now."""

    def __init__(self, folder: Path, take: Callable[[Sequence[Receipt]], object], now: Callable[[], datetime]) -> None:
        self._new, self._cur = folder / "new", folder / "cur"
        self._take = take
        self._now = now

    def run(self, stopping: Callable[[], bool] = lambda: False) -> BounceReport:
        """Read all that is new. What is no readable file (a folder, another's mail) stays, and holds up no other.

        Raises OSError when the folder cannot be read or a mail not moved, the latter once all others are, and what
        ``take`` raises.
        """
        report, fault = BounceReport(), None
        names = sorted(path.name for path in self._new.iterdir() if not path.name.startswith("."))
        for start in range(0, len(names), _CHUNK):
            if stopping():
                break
            fault = self._read(names[start : start + _CHUNK], report) or fault
        if fault is not None:
            raise fault
        return report

    def _read(self, names: list[str], report: BounceReport) -> OSError | None:
        """Take in and move so many mails; gives why one could not be moved."""
        read: dict[str, Receipt | None] = {}
        for name in names:
            try:
                read[name] = self._receipt(name)
            except FileNotFoundError:
                continue  # another daemon was there first
            except OSError:
                report.unreadable += 1
        receipts = [receipt for receipt in read.values() if receipt is not None]
        if receipts:
            self._take(receipts)
        report.bounces += len(receipts)
        report.others += len(read) - len(receipts)
        return self._put_away(read)

    def _put_away(self, read: Mapping[str, Receipt | None]) -> OSError | None:
        fault = None
        for name, receipt in read.items():
            try:
                (self._new / name).rename(self._cur / (name.partition(":")[0] + (_SEEN if receipt else _UNSEEN)))
            except FileNotFoundError:
                continue
            except OSError as error:
                fault = error
        return fault

    def _receipt(self, name: str) -> Receipt | None:
        """Read one mail. Raises OSError for what is none: a pipe would be waited for without end."""
        path = self._new / name
        if not S_ISREG(path.stat().st_mode):
            raise OSError(EINVAL, "no file")
        with path.open("rb") as mail:
            return receipt_of(mail.read(MOST_BYTES + 1), self._now())

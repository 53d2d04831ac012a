"""Bounces out of a Maildir, the folder that a mail server delivers the bounce address to.

New mails are read where they lie, what they say is taken in, and only then are they moved to ``cur``: one that was
understood as seen, any other unseen, for the person who looks after that mailbox. Whoever dies in between, or shares
the folder with another daemon, takes a receipt in twice, which changes nothing. No mail is ever deleted here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from invites.channels.bounce import MOST_BYTES, receipt_of
from invites.receipt import Receipt

_CHUNK: Final = 50
_SEEN: Final = ":2,S"
_UNSEEN: Final = ":2,"


class BounceReport(Struct):
    """What one look found: mails understood as bounces, and others, left for a person."""

    bounces: int = 0
    others: int = 0


class BounceFolder:
    """Reads one Maildir (new, cur, tmp). ``take`` takes receipts in, and raises when it cannot just now."""

    def __init__(self, folder: Path, take: Callable[[Sequence[Receipt]], object], now: Callable[[], datetime]) -> None:
        self._new, self._cur = folder / "new", folder / "cur"
        self._take = take
        self._now = now

    def run(self, stopping: Callable[[], bool] = lambda: False) -> BounceReport:
        """Read all that is new. Raises OSError when the folder cannot be read, and what ``take`` raises."""
        report = BounceReport()
        names = sorted(path.name for path in self._new.iterdir() if not path.name.startswith("."))
        for start in range(0, len(names), _CHUNK):
            if stopping():
                break
            self._read(names[start : start + _CHUNK], report)
        return report

    def _read(self, names: list[str], report: BounceReport) -> None:
        read = {name: self._receipt(name) for name in names}
        receipts = [receipt for receipt in read.values() if receipt is not None]
        if receipts:
            self._take(receipts)
        for name, receipt in read.items():
            with suppress(FileNotFoundError):  # another daemon was there first
                (self._new / name).rename(self._cur / (name.partition(":")[0] + (_SEEN if receipt else _UNSEEN)))
        report.bounces += len(receipts)
        report.others += len(read) - len(receipts)

    def _receipt(self, name: str) -> Receipt | None:
        with suppress(FileNotFoundError), (self._new / name).open("rb") as mail:
            return receipt_of(mail.read(MOST_BYTES + 1), self._now())
        return None

"""Sealing the audit trail, and keeping its head where the database's thief is not.

The head (number and hash of the newest seal) lies in ``audit-head.json`` beside the key file and goes into the log with
every seal. A head that is not in the database any more means that the trail was cut off, or that an older database was
put back; then the file is left as it is, for it is the evidence, and ``doorstep audit verify`` says so. After a restore
that was wanted, move the file away.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from patient_records import audit_seals
from patient_records.audit import AuditTrail
from patient_records.audit_seals import Head
from patient_records.unit_of_work import Database

FILE_NAME: Final = "audit-head.json"


class SealReport(Struct, frozen=True):
    """What a run of sealing did: how many entries it sealed, and whether the head kept here is still in the trail."""

    sealed: int
    head: Head | None = None
    whole: bool = True


class AuditSealing:
    """The daemon's job: seal what was committed, then keep the head."""

    def __init__(self, database: Database, trail: AuditTrail, folder: Path) -> None:
        """``folder`` is the key file's."""
        self._database = database
        self._trail = trail
        self._file = folder / FILE_NAME

    def __call__(self, stopping: Callable[[], bool] = lambda: False) -> SealReport:
        """Seal until nothing is left. Raises StorageUnavailable, StorageConflict."""
        with self._database.read() as connection:
            if not audit_seals.anything_to_seal(connection):
                return SealReport(0)
        total = 0
        known = read_head(self._file)
        while not stopping():
            with self._database.begin() as connection:
                whole = known is None or audit_seals.still_there(connection, known)
                sealed = audit_seals.seal(connection, self._trail.key, self._database.now(connection))
                newest = audit_seals.head(connection)
            total += sealed
            if not sealed:
                break
            if not whole:
                return SealReport(total, newest, whole=False)
            if newest is not None:
                write_head(self._file, newest)
            known = newest
        return SealReport(total, known)


def read_head(file: Path) -> Head | None:
    """The head that was kept, or None: there is no such file. Raises ValueError for one that is none of ours."""
    try:
        found = msgspec.json.decode(file.read_bytes(), type=Head)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError:
        raise ValueError(f"{file} is not a head of the audit trail: put the right one there, or move it away") from None
    return found


def parse_head(text: str) -> Head:
    """A head as ``audit verify`` prints it: ``12:ab34...``. Raises ValueError."""
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", text.strip())
    if found is None:
        raise ValueError("a head is a number, a colon and 64 hexadecimal digits, as doorstep audit verify prints it")
    return Head(int(found[1]), found[2])


def write_head(file: Path, head: Head) -> None:
    """Keep a head: the old file or the new one, never half of either."""
    draft = file.with_name(file.name + ".new")
    draft.write_bytes(msgspec.json.encode(head) + b"\n")
    draft.replace(file)

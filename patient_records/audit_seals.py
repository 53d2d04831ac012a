"""Seals over the audit trail: what makes a deletion show.

Every so often what was committed and is not sealed yet gets the next seal: a keyed hash of those entries' hashes, of
their number, and of the seal before. Seals are numbered from 1 without a gap and made one at a time (an advisory lock
on PostgreSQL, the writing transaction on SQLite), apart from the transactions that write entries, so that none of
those waits for another. What this proves:

* an entry that was changed, or written by somebody without the key file: its own hash is wrong;
* a sealed entry that is gone, or was added under an old seal: the seal's hash is wrong;
* a seal that is gone from the middle: the next one's hash is wrong, and a number is missing.

What it does not: an entry deleted before its seal (the daemon seals every few seconds) leaves no trace; and a trail
cut off at its end, newest seals with their entries, is whole in itself. Against that the *head*, the newest seal's
number and hash, is kept outside the database as well (:mod:`daemon.audit_sealing` keeps it in a file and in the log);
:func:`verify` takes such heads and finds each again. Whoever has the key file can write what they like.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import groupby
from typing import Any, Final

from msgspec import Struct, field
from sqlalchemy import Connection, Row, func, insert, select, text, update

from patient_records import tables
from patient_records.audit import AuditKey
from patient_records.instants import to_micros
from patient_records.unit_of_work import POSTGRESQL

LARGEST_SEAL: Final = 5_000
"""Entries under one seal, so that no transaction is long."""

MOST_FAULTS: Final = 100
"""Faults that a report lists; it counts the others."""

_ENTRIES: Final = tables.audit_entries
_SEALS: Final = tables.audit_seals
_ADVISORY_LOCK: Final = 0x61756469742E  # "audit." in ASCII: any number does, as long as nobody else takes it
_CONTENT: Final = (
    "id", "at", "actor_kind", "actor_id", "action", "organisation", "record_id", "detail", "key_id",
)  # fmt: skip
_PAGE: Final = 2_000
_FIRST: Final = b""
"""What stands for the seal before the first."""


class Head(Struct, frozen=True):
    """The newest seal: its number and its hash in hexadecimal digits. It tells nothing of any entry."""

    number: int
    hash: str


class Fault(Struct, frozen=True):
    """What does not fit: a code, and the entry's id or the seal's number that it was seen at."""

    code: str
    at: int


class AuditReport(Struct):
    """What a verification found; ``faults`` are the first hundred of ``fault_count``."""

    entries: int = 0
    unsealed: int = 0
    seals: int = 0
    head: Head | None = None
    fault_count: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, code: str, at: int) -> None:
        """Note a fault."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(Fault(code, at))


def anything_to_seal(connection: Connection) -> bool:
    """Whether :func:`seal` would find anything; for a reader."""
    return connection.scalar(select(_ENTRIES.c.id).where(_ENTRIES.c.seal.is_(None)).limit(1)) is not None


def seal(connection: Connection, key: AuditKey, now: datetime) -> int:
    """Put up to :data:`LARGEST_SEAL` entries under the next seal; gives how many, 0 when another process is at it."""
    if connection.dialect.name == POSTGRESQL and not connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK}
    ):
        return 0
    before = connection.execute(select(_SEALS).order_by(_SEALS.c.number.desc()).limit(1)).one_or_none()
    number = before.number + 1 if before is not None else 1
    unsealed = select(_ENTRIES.c.id).where(_ENTRIES.c.seal.is_(None)).order_by(_ENTRIES.c.id).limit(LARGEST_SEAL)
    taken = connection.execute(
        update(_ENTRIES)
        .where(_ENTRIES.c.id.in_(unsealed), _ENTRIES.c.seal.is_(None))
        .values(seal=number)
        .returning(_ENTRIES.c.id, _ENTRIES.c.authentication)
    ).all()
    if not taken:
        return 0
    previous = bytes(before.authentication) if before is not None else _FIRST
    digest = _digest(sorted((row.id, bytes(row.authentication)) for row in taken))
    row = {"number": number, "at": to_micros(now), "entries": len(taken), "key_id": key.key_id}
    connection.execute(insert(_SEALS).values(**row, authentication=_seal_hash(key, row, previous, digest)))
    return len(taken)


def head(connection: Connection) -> Head | None:
    """The newest seal, or None before the first."""
    row = connection.execute(select(_SEALS).order_by(_SEALS.c.number.desc()).limit(1)).one_or_none()
    return Head(row.number, bytes(row.authentication).hex()) if row is not None else None


def still_there(connection: Connection, known: Head) -> bool:
    """Whether the seal that was the head once is there, unchanged: if not, the trail was cut off or put back."""
    found = connection.scalar(select(_SEALS.c.authentication).where(_SEALS.c.number == known.number))
    return found is not None and bytes(found).hex() == known.hash


def verify(
    connection: Connection,
    key: AuditKey,
    heads: Iterable[Head] = (),
    progress: Callable[[int], object] = lambda _entries: None,
) -> AuditReport:
    """Check every entry, every seal, the chain, and that the heads known from elsewhere are part of it.

    Reads in one snapshot, a page at a time; ``progress`` hears how many entries were read.
    """
    report = AuditReport()
    seals = {row.number: row for row in connection.execute(select(_SEALS))}
    report.seals = len(seals)
    found: dict[int, tuple[int, bytes]] = {}
    for number, entries in groupby(_in_order(connection), key=lambda row: row.seal):
        checked = [(row.id, bytes(row.authentication)) for row in _checked(entries, key, report, progress)]
        if number is None:
            report.unsealed = len(checked)
        elif number not in seals:
            report.add("entry_of_no_seal", checked[0][0])
        else:
            found[number] = (len(checked), _digest(checked))
    _check_chain(seals, found, key, report)
    report.head = head(connection)
    for known in heads:
        if not still_there(connection, known):
            report.add("head_missing", known.number)
    return report


def entry_count(connection: Connection) -> int:
    """How many entries there are."""
    return connection.scalar(select(func.count()).select_from(_ENTRIES)) or 0


def _in_order(connection: Connection) -> Iterable[Row[Any]]:
    """Every entry, by seal and id, those without a seal last; a page at a time."""
    c = _ENTRIES.c
    for condition in (c.seal.is_not(None), c.seal.is_(None)):
        after: tuple[int, int] = (0, 0)
        while True:
            page = select(_ENTRIES).where(condition, _after(after)).order_by(c.seal, c.id).limit(_PAGE)
            rows = connection.execute(page).all()
            if not rows:
                break
            yield from rows
            after = (rows[-1].seal or 0, rows[-1].id)


def _after(place: tuple[int, int]) -> Any:
    c = _ENTRIES.c
    seal_number, entry_id = place
    if seal_number == 0:
        return c.id > entry_id if entry_id else text("1 = 1")
    return (c.seal > seal_number) | ((c.seal == seal_number) & (c.id > entry_id))


def _checked(
    entries: Iterable[Row[Any]], key: AuditKey, report: AuditReport, progress: Callable[[int], object]
) -> Iterable[Row[Any]]:
    for row in entries:
        report.entries += 1
        content = [getattr(row, name) for name in _CONTENT]
        if not hmac.compare_digest(key.authenticate("entry", *content), bytes(row.authentication)):
            report.add("entry_changed", row.id)
        if report.entries % _PAGE == 0:
            progress(report.entries)
        yield row


def _check_chain(
    seals: dict[int, Row[Any]], found: dict[int, tuple[int, bytes]], key: AuditKey, report: AuditReport
) -> None:
    previous = _FIRST
    for number in range(1, max(seals, default=0) + 1):
        row = seals.get(number)
        if row is None:
            report.add("seal_missing", number)
            continue
        count, digest = found.get(number, (0, _digest([])))
        head_of_row = {"number": row.number, "at": row.at, "entries": row.entries, "key_id": row.key_id}
        if count != row.entries:
            report.add("entries_missing" if count < row.entries else "entries_added", number)
        elif not hmac.compare_digest(_seal_hash(key, head_of_row, previous, digest), bytes(row.authentication)):
            report.add("seal_broken", number)
        previous = bytes(row.authentication)


def _digest(entries: Sequence[tuple[int, bytes]]) -> bytes:
    return sha256(b"".join(authentication for _, authentication in entries)).digest()


def _seal_hash(key: AuditKey, row: dict[str, Any], previous: bytes, digest: bytes) -> bytes:
    return key.authenticate(
        "seal", row["number"], row["at"], row["entries"], row["key_id"], previous.hex(), digest.hex()
    )

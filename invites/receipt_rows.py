"""Receipts in their rows: found entries, what is known of each, and what waits for its entry.

The caller brings the transaction and has locked records and entries; nothing here decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, delete, func, select, text, tuple_

from invites import outbox
from invites.outbox import OutboxEntry
from invites.receipt import Receipt, ReceiptState, Said
from invites.tables import outbox as entries
from invites.tables import receipts, receipts_waiting
from patient_records.bulk import BulkInsert
from patient_records.instants import from_micros, to_micros

COUNTING: Final = "counts = 1"
"""The condition of the index, in its very words."""

_KEY: Final = ("entry_id", "state", "permanent")
_PUT: Final = BulkInsert(
    receipts,
    (*_KEY, "organisation", "channel", "at", "code", "received_at", "repeats", "counts"),
    key=_KEY,
    update=("at", "code", "repeats", "counts"),
)
_WAIT: Final = BulkInsert(
    receipts_waiting,
    ("provider", "reference", "ours", "state", "permanent", "at", "code", "received_at"),
    key=("provider", "reference", "ours", "state", "permanent"),
)


class ReceiptRow(Struct, frozen=True):
    """What is known of an entry of one kind: the earliest such receipt, and how often it came again."""

    entry_id: int
    state: ReceiptState
    permanent: bool
    organisation: str
    channel: str
    at: datetime
    code: str
    received_at: datetime
    repeats: int
    counts: bool

    @property
    def said(self) -> Said:
        """What it says."""
        return Said(self.state, self.at, permanent=self.permanent)


def find_entries(connection: Connection, said: Sequence[Receipt]) -> dict[int, OutboxEntry]:
    """The entries that these receipts are about, by the receipt's position; those of unknown references are left out.

    A provider speaks of what it was given: neither our reference nor its own is one of another provider's entries.
    """
    ours = {receipt.reference for receipt in said if receipt.reference}
    theirs = {receipt.provider_reference for receipt in said if not receipt.reference}
    by_ours = {entry.reference: entry for entry in outbox.entries_with(connection, entries.c.reference, ours)}
    named = select(entries.c.id, entries.c.provider, entries.c.provider_reference).where(
        entries.c.provider_reference.in_(sorted(theirs))
    )
    ids = {(row.provider, row.provider_reference): row.id for row in connection.execute(named)} if theirs else {}
    by_id = {entry.id: entry for entry in outbox.entries_with(connection, entries.c.id, ids.values())}
    found: dict[int, OutboxEntry] = {}
    for at, receipt in enumerate(said):
        id_ = ids.get((receipt.provider, receipt.provider_reference))
        entry = by_ours.get(receipt.reference) if receipt.reference else by_id.get(id_ or 0)
        if entry is not None and entry.provider == receipt.provider:
            found[at] = entry
    return found


def known(connection: Connection, entry_ids: Collection[int]) -> dict[int, list[ReceiptRow]]:
    """Everything that was said of these entries so far, the earliest first; silent ones are left out."""
    if not entry_ids:
        return {}
    found: dict[int, list[ReceiptRow]] = {}
    rows = select(receipts).where(receipts.c.entry_id.in_(sorted(entry_ids))).order_by(receipts.c.at)
    for row in connection.execute(rows):
        found.setdefault(row.entry_id, []).append(
            ReceiptRow(
                entry_id=row.entry_id,
                state=ReceiptState(row.state),
                permanent=bool(row.permanent),
                organisation=row.organisation,
                channel=row.channel,
                at=from_micros(row.at),
                code=row.code,
                received_at=from_micros(row.received_at),
                repeats=row.repeats,
                counts=bool(row.counts),
            )
        )
    return found


def put(connection: Connection, rows: Iterable[ReceiptRow]) -> None:
    """Insert or replace these rows."""
    _PUT.run(
        connection,
        [
            (
                row.entry_id,
                row.state.value,
                int(row.permanent),
                row.organisation,
                row.channel,
                to_micros(row.at),
                row.code,
                to_micros(row.received_at),
                row.repeats,
                int(row.counts),
            )
            for row in rows
        ],
    )


def let_wait(connection: Connection, said: Iterable[Receipt], now: datetime) -> None:
    """Keep these receipts, whose entry was not found, for another look."""
    rows = {
        (r.provider, r.reference or r.provider_reference, int(bool(r.reference)), r.state.value, int(r.permanent)): (
            to_micros(r.at),
            r.code,
            to_micros(now),
        )
        for r in said
    }
    _WAIT.run(connection, [(*key, *rest) for key, rest in sorted(rows.items())])


def waiting(connection: Connection, *, since: datetime, limit: int) -> list[Receipt]:
    """Receipts that wait for their entry since that time or later, the oldest first."""
    table = receipts_waiting
    rows = select(table).where(table.c.received_at >= to_micros(since)).order_by(table.c.received_at).limit(limit)
    return [
        Receipt(
            row.provider,
            ReceiptState(row.state),
            from_micros(row.at),
            reference=row.reference if row.ours else "",
            provider_reference="" if row.ours else row.reference,
            permanent=bool(row.permanent),
            code=row.code,
        )
        for row in connection.execute(rows)
    ]


def no_longer_waiting(connection: Connection, said: Iterable[Receipt]) -> None:
    """Take these out of those that wait."""
    table = receipts_waiting
    keys = [
        (r.provider, r.reference or r.provider_reference, int(bool(r.reference)), r.state.value, int(r.permanent))
        for r in said
    ]
    if keys:
        columns = tuple_(table.c.provider, table.c.reference, table.c.ours, table.c.state, table.c.permanent)
        connection.execute(delete(table).where(columns.in_(keys)))


def any_waiting(connection: Connection, *, before: datetime) -> bool:
    """Whether any receipt waits since before that time."""
    table = receipts_waiting
    return (
        connection.execute(select(table.c.reference).where(table.c.received_at < to_micros(before)).limit(1)).first()
        is not None
    )


def forget_waiting(connection: Connection, *, before: datetime) -> int:
    """Let go of those that wait since before that time: nobody's entry will turn up any more."""
    table = receipts_waiting
    return connection.execute(delete(table).where(table.c.received_at < to_micros(before))).rowcount


def count_by_channel(connection: Connection) -> dict[str, dict[str, int]]:
    """Count entries by channel and by what prevails of their receipts."""
    statement = select(receipts.c.channel, receipts.c.state, func.count()).where(text(COUNTING))
    counts: dict[str, dict[str, int]] = {}
    for channel, state, count in connection.execute(statement.group_by(receipts.c.channel, receipts.c.state)):
        counts.setdefault(channel, {})[state] = count
    return counts

"""Which stored messages a replay takes, in the order in which they came, a bounded piece at a time.

Passed over without a word is what was dealt with already, and what is no message. Passed over and counted is what
cannot be replayed:

- ``no_listener``: its listener is not configured any more, so nobody knows how it was to be read;
- ``failed``: it does not open;
- ``incomplete_batch``: it came in a batch that was refused as a whole because something of it was lost on the way.
  What the batch was is not known, so no part of it is applied by itself: its sender sends the whole again, or a person
  resubmits single messages of it knowingly. This holds for whatever the message itself was refused for besides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, func, select

from hl7_listener.batch_frame import INCOMPLETE_BATCH
from hl7_listener.interpreter import REASONS_OF_A_BATCH
from hl7_listener.options import ListenerOptions
from hl7_listener.reprocessing import Reprocessed, as_received
from patient_records import tables
from patient_records.errors import SealBroken
from patient_records.instants import from_micros, to_micros
from patient_records.journal import Journal
from patient_records.replay_claim import open_to_replay
from patient_records.repository import Records
from patient_records.unit_of_work import Database

MOST_BYTES: Final = 8 << 20
"""Bytes of messages in one piece, as in a commit of the writer's: a thousand ordinary messages are one, eight of the
largest another. One message is a piece in any case."""

_J: Final = tables.journal.c
_COLUMNS: Final = (
    _J.id,
    _J.listener,
    _J.received_at,
    _J.record_id,
    _J.organisation,
    _J.reason,
    _J.findings,
    func.length(_J.sealed).label("size"),
)


class Wanted(Struct, frozen=True):
    """What was asked for: messages of these outcomes, received since then."""

    since: datetime | None
    statuses: tuple[str, ...]


class Piece(Struct, frozen=True):
    """Messages to settle together, and how many between them were passed over, by reason."""

    messages: list[Reprocessed]
    skipped: Counter[str]

    @property
    def looked_at(self) -> int:
        """How many entries of the journal this is about."""
        return len(self.messages) + self.skipped.total()


class Candidates:
    """Finds and reads them, each piece in a transaction of its own, which is over when the piece is given."""

    def __init__(
        self, database: Database, journal: Journal, records: Records, listeners: Mapping[str, ListenerOptions]
    ) -> None:
        self._database = database
        self._journal = journal
        self._records = records
        self._listeners = listeners

    def count(self, wanted: Wanted) -> int:
        """Count the messages that a replay would look at."""
        with self._database.read() as connection:
            rows = select(_J.id).where(*_conditions(wanted, 0)).subquery()
            return int(connection.scalar(select(func.count()).select_from(rows)) or 0)

    def pieces(self, wanted: Wanted, size: int) -> Iterator[Piece]:
        """Give them in pieces of at most ``size`` messages and :data:`MOST_BYTES`."""
        after = 0
        while True:
            with self._database.read() as connection:
                page = select(*_COLUMNS).where(*_conditions(wanted, after)).order_by(_J.id).limit(size)
                rows = connection.execute(page).all()
            if not rows:
                return
            after = rows[-1].id
            for some in _portions(rows):
                yield self._piece(some)

    def _piece(self, rows: Sequence[Any]) -> Piece:
        piece = Piece([], Counter())
        with self._database.read() as connection:
            owners = {row.record_id for row in rows} - {None}
            keys = {id_: opened.key for id_, opened in self._records.load(connection, owners).items()}
            for row in rows:
                options = self._listeners.get(row.listener)
                if options is None:
                    piece.skipped["no_listener"] += 1
                elif row.reason in REASONS_OF_A_BATCH or f"{INCOMPLETE_BATCH}:" in row.findings:
                    piece.skipped[INCOMPLETE_BATCH] += 1
                else:
                    try:
                        raw = self._journal.raw(connection, row.id, keys.get(row.record_id))
                    except (SealBroken, LookupError):  # one that does not open keeps no other from being replayed
                        piece.skipped["failed"] += 1
                        continue
                    options = as_received(options, row.organisation)
                    piece.messages.append(Reprocessed(options, raw, from_micros(row.received_at), 0, row.id))
        return piece


def _portions(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut rows into portions whose messages are not too many bytes together."""
    start = octets = 0
    for position, row in enumerate(rows):
        if position > start and octets + row.size > MOST_BYTES:
            yield rows[start:position]
            start, octets = position, 0
        octets += row.size
    yield rows[start:]


def _conditions(wanted: Wanted, after: int) -> tuple[ColumnElement[bool], ...]:
    conditions = [
        _J.id > after,
        _J.outcome.in_(wanted.statuses),
        _J.replay_of.is_(None),
        _J.event != "",  # junk and what has no header in shape is no message that could be applied
        *open_to_replay(),
    ]
    if wanted.since is not None:
        conditions.append(_J.received_at >= to_micros(wanted.since))
    return tuple(conditions)

"""Quarantine: the journal entries that wait for a person, and what that person decided (SPEC 3.6).

An entry waits until somebody has it applied (as it was, or mended) or discards it. Neither deletes anything: the bytes
stay in the journal, the decision beside them. Lists show who sent what and why it waits, never what is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Row, func, select, update

from patient_records import tables
from patient_records.instants import from_micros, maybe_instant, to_micros
from patient_records.keys import KeyRing

WAITING: Final = "waiting"
RESUBMITTED: Final = "resubmitted"
DISCARDED: Final = "discarded"

_NOTE: Final = "quarantine"
_Q: Final = tables.quarantine.c
_J: Final = tables.journal.c
_SELECT: Final = select(
    _Q.journal_id,
    _Q.received_at,
    _Q.reason,
    _Q.stream_offset,
    _Q.state,
    _Q.decided_at,
    _J.listener,
    _J.sender,
    _J.organisation,
    _J.control_id,
    _J.event,
    _J.answer,
    func.length(_J.sealed).label("size"),
).join(tables.journal, _J.id == _Q.journal_id)


class Waiting(Struct, frozen=True):
    """One entry of the quarantine: facts about the message, none of its content.

    ``offset`` is where it began in its connection's stream, ``size`` its length in bytes as it is kept (sealed, a
    little more than it was); ``decided_at`` is None while the state is waiting.
    """

    id: int
    received_at: datetime
    reason: str
    offset: int
    state: str
    decided_at: datetime | None
    listener: str
    sender: str
    organisation: str
    control_id: str
    event: str
    answer: str
    size: int


class Quarantine:
    """Reads and decides, in the caller's transaction."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    def page(
        self, connection: Connection, *, state: str | None = WAITING, sender: str = "", after: int = 0, size: int = 100
    ) -> list[Waiting]:
        """Give the next entries after that id, the oldest first; ``state`` None: whatever became of them."""
        conditions: list[ColumnElement[bool]] = [_Q.journal_id > after]
        if state is not None:
            conditions.append(_Q.state == state)
        if sender:
            conditions.append(_J.sender == sender)
        rows = connection.execute(_SELECT.where(*conditions).order_by(_Q.journal_id).limit(size))
        return [_waiting(row) for row in rows]

    def one(self, connection: Connection, journal_id: int) -> Waiting | None:
        """Give one entry, whatever its state; None when that id is not in quarantine."""
        row = connection.execute(_SELECT.where(_Q.journal_id == journal_id)).one_or_none()
        return None if row is None else _waiting(row)

    def decide(self, connection: Connection, journal_id: int, state: str, note: str, now: datetime) -> bool:
        """Write down how the waiting ended; gives whether it was still waiting. The note is sealed."""
        key_id = connection.scalar(select(_J.key_id).where(_J.id == journal_id))
        if key_id is None:
            return False
        sealed = self._ring.sealing_key(key_id).derived(_NOTE, journal_id).seal(note.encode(), _NOTE, journal_id)
        statement = update(tables.quarantine).where(_Q.journal_id == journal_id, _Q.state == WAITING)
        decided = statement.values(state=state, decided_at=to_micros(now), sealed_note=sealed if note else None)
        return connection.execute(decided).rowcount == 1

    @staticmethod
    def applied(connection: Connection, journal_ids: Collection[int], now: datetime) -> None:
        """Write down that those of these messages that were waiting were applied after all."""
        waiting = (_Q.journal_id.in_(list(journal_ids)), _Q.state == WAITING)
        connection.execute(
            update(tables.quarantine).where(*waiting).values(state=RESUBMITTED, decided_at=to_micros(now))
        )

    def note(self, connection: Connection, journal_id: int) -> str:
        """Give what was written about the decision; empty when nothing was."""
        row = connection.execute(
            select(_Q.sealed_note, _J.key_id).join(tables.journal, _J.id == _Q.journal_id).where(_J.id == journal_id)
        ).one_or_none()
        if row is None or row.sealed_note is None:
            return ""
        key = self._ring.sealing_key(row.key_id).derived(_NOTE, journal_id)
        return key.open(row.sealed_note, _NOTE, journal_id).decode()


def replays_of(connection: Connection, journal_ids: Sequence[int]) -> dict[int, list[tuple[int, str]]]:
    """Give the ids and outcomes of the replays of each of these entries, oldest first; the others are left out."""
    rows = connection.execute(
        select(_J.replay_of, _J.id, _J.outcome).where(_J.replay_of.in_(list(journal_ids))).order_by(_J.id)
    )
    found: dict[int, list[tuple[int, str]]] = {}
    for row in rows:
        found.setdefault(row.replay_of, []).append((row.id, row.outcome))
    return found


def _waiting(row: Row[tuple[object, ...]]) -> Waiting:
    values = row._mapping  # noqa: SLF001 (SQLAlchemy's public name for it)
    return Waiting(
        id=values["journal_id"],
        received_at=from_micros(values["received_at"]),
        reason=values["reason"],
        offset=values["stream_offset"],
        state=values["state"],
        decided_at=maybe_instant(values["decided_at"]),
        listener=values["listener"],
        sender=values["sender"],
        organisation=values["organisation"],
        control_id=values["control_id"],
        event=values["event"],
        answer=values["answer"],
        size=values["size"],
    )

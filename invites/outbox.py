"""Outbox entries: claimed by a lease, marked before they are sent, finished behind a fence (SPEC 5.3).

The window of trust. Between the commit that says ``sending`` and the one that says what came of it, nobody but the
process that is sending knows anything. So two things guard an entry: the **lease** (a name drawn for each claim, and a
time in the database's clock) says who may mark it, and the **fence** (the attempt number) says whose answer counts. An
answer to an attempt that was overtaken by a later one changes nothing, unless it is that the provider has it.

Each move asks :data:`invites.invitation.TRANSITIONS` for its target, so no statement here can take a way that the table
does not have. The caller brings the transaction; where records are locked too, they were locked first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, update

from invites import agenda
from invites.agenda import NOBODY, Barred
from invites.invitation import CANCELLABLE, FINAL, EntryEvent, EntryState, after
from invites.tables import QUEUED, UNKNOWN, attempts, destinations, outbox
from patient_records.bulk import BulkInsert
from patient_records.instants import from_micros, maybe_micros, to_micros
from patient_records.model import Masked
from patient_records.unit_of_work import POSTGRESQL

PAYLOAD: Final = "outbox.payload"
REQUEST: Final = "outbox.request"
"""Places that sealed values are bound to, beside the entry's id."""

LEASE_LAPSED: Final = "lease_lapsed"

NOT_BEGUN: Final = "not_begun"
"""How an attempt ended whose call was never made: the daemon stopped, or the lease was running out."""

_COLUMNS: Final = (
    outbox.c.id,
    outbox.c.invitation_id,
    outbox.c.access_token_id,
    outbox.c.record_id,
    outbox.c.reference,
    outbox.c.channel,
    outbox.c.provider,
    outbox.c.state,
    outbox.c.attempt,
    outbox.c.expires_at,
    outbox.c.sealed_payload,
    outbox.c.sealed_request,
    outbox.c.created_at,
    outbox.c.purpose,
    outbox.c.organisation,
)

_MOVE: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("entry_id"))
    .values(
        state=bindparam("to_state"),
        code=bindparam("to_code"),
        due_at=bindparam("to_due"),
        lease_owner=None,
        lease_until=None,
    )
)
_MOVE_TO_QUEUE: Final = _MOVE.values(sealed_request=None)
_MOVE_TO_END: Final = _MOVE.values(
    sealed_payload=None,
    sealed_request=None,
    final_at=bindparam("to_final"),
    provider_reference=func.coalesce(bindparam("to_reference"), outbox.c.provider_reference),
)
_START: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("entry_id"))
    .values(
        state=bindparam("to_state"),
        attempt=bindparam("number"),
        provider=bindparam("by"),
        sealed_request=bindparam("request"),
        lease_until=bindparam("until"),
        due_at=None,
    )
)
_PUT_OFF: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("entry_id"), outbox.c.state == EntryState.UNKNOWN.value)
    .values(due_at=bindparam("to_due"))
)
_LEAVE_TO_A_PERSON: Final = (
    update(outbox)
    .where(outbox.c.id == bindparam("entry_id"), outbox.c.state == EntryState.UNKNOWN.value)
    .values(due_at=None, code=bindparam("why_waits"))
)
_ADD_ATTEMPTS: Final = BulkInsert(attempts, ("entry_id", "number", "started_at"))
_GO_TO: Final = BulkInsert(destinations, ("entry_id", "blind"), key=("entry_id",), update=("blind",))
_END_ATTEMPT: Final = (
    update(attempts)
    .where(
        attempts.c.entry_id == bindparam("of_entry"),
        attempts.c.number == bindparam("of_number"),
    )
    .values(finished_at=bindparam("at"), outcome=bindparam("was"), code=bindparam("why"))
)


class OutboxEntry(Masked, Struct, frozen=True):
    """One message to one person, as it stood when it was read; ``attempt`` is the number of its latest attempt.

    ``purpose`` says what it is for (:mod:`invites.purpose`). Only an invitation has an ``invitation_id``, only what
    carries codes an ``access_token_id``.
    """

    id: int
    invitation_id: int | None
    access_token_id: int | None
    record_id: int
    reference: str
    channel: str
    provider: str | None
    state: EntryState
    attempt: int
    expires_at: datetime
    sealed_payload: bytes | None
    sealed_request: bytes | None
    created_at: datetime
    purpose: str
    organisation: str


class Start(Masked, Struct, frozen=True):
    """An attempt about to begin: the entry, who carries it, the rendered request, sealed, and where it goes, hashed."""

    entry: OutboxEntry
    provider: str
    sealed_request: bytes
    destination: bytes | None = None


class Move(Struct, frozen=True):
    """One step of one entry. ``due_at`` is for states that wait, ``provider_reference`` for accepted ones."""

    entry_id: int
    state: EntryState
    event: EntryEvent
    code: str | None = None
    due_at: datetime | None = None
    provider_reference: str | None = None


class Tries(Struct, frozen=True):
    """When the first attempt of an entry began, and how many there were that were truly made."""

    since: datetime
    count: int


class Answered(Struct, frozen=True):
    """What an attempt's row says when it is over."""

    entry_id: int
    number: int
    outcome: str
    code: str | None


def anything_due(connection: Connection, channel: str, now: datetime, barred: Barred = NOBODY) -> bool:
    """Whether :func:`claim` would find anything. To be asked of a reader, so that a lane at rest writes nothing."""
    return agenda.any_of(connection, agenda.due(select(outbox.c.id), QUEUED, channel, now, barred))


def anything_to_settle(connection: Connection, channel: str, now: datetime, barred: Barred = NOBODY) -> bool:
    """Whether :func:`claim_unknown` would find anything; for a reader, too."""
    return agenda.any_of(connection, agenda.due(select(outbox.c.id), UNKNOWN, channel, now, barred))


def claim(
    connection: Connection,
    channel: str,
    owner: str,
    *,
    lease: timedelta,
    limit: int,
    now: datetime,
    barred: Barred = NOBODY,
) -> list[OutboxEntry]:
    """Take the lease of up to ``limit`` due entries of a channel, the longest due first. Never waits for others."""
    entries = _take(connection, agenda.due(select(*_COLUMNS), QUEUED, channel, now, barred).limit(limit))
    if entries:
        claimed = update(outbox).where(outbox.c.id.in_([entry.id for entry in entries]))
        state = after(EntryState.QUEUED, EntryEvent.CLAIM)
        connection.execute(
            claimed.values(state=state.value, lease_owner=owner, lease_until=to_micros(now + lease), due_at=None)
        )
        return [_with_state(entry, state) for entry in entries]
    return []


def claim_unknown(
    connection: Connection,
    channel: str,
    *,
    lease: timedelta,
    limit: int,
    now: datetime,
    barred: Barred = NOBODY,
) -> list[OutboxEntry]:
    """Take up to ``limit`` unknown entries of a channel that are due to be settled; others see them due a lease later.

    They stay ``unknown``: should this process die over them, that is still what they are.
    """
    entries = _take(connection, agenda.due(select(*_COLUMNS), UNKNOWN, channel, now, barred).limit(limit))
    if entries:
        taken = update(outbox).where(outbox.c.id.in_([entry.id for entry in entries]))
        connection.execute(taken.values(due_at=to_micros(now + lease)))
    return entries


def still_claimed(connection: Connection, owner: str, ids: Collection[int]) -> set[int]:
    """Lock and give those of these entries that are still under the lease of that name."""
    mine = (outbox.c.id.in_(list(ids)), outbox.c.state == EntryState.CLAIMED.value, outbox.c.lease_owner == owner)
    return set(connection.scalars(_locked(connection, select(outbox.c.id).where(*mine).order_by(outbox.c.id))))


def at_attempts(connection: Connection, fences: dict[int, int]) -> dict[int, EntryState]:
    """Lock these entries and give the states of those whose latest attempt is still the one named here."""
    if not fences:
        return {}
    rows = select(outbox.c.id, outbox.c.attempt, outbox.c.state).where(outbox.c.id.in_(list(fences)))
    found = connection.execute(_locked(connection, rows.order_by(outbox.c.id)))
    return {row.id: EntryState(row.state) for row in found if row.attempt == fences[row.id]}


def standings(connection: Connection, entry_ids: Collection[int]) -> dict[int, tuple[EntryState, int]]:
    """Lock these entries and give of each its state and the number of its latest attempt."""
    if not entry_ids:
        return {}
    rows = select(outbox.c.id, outbox.c.attempt, outbox.c.state).where(outbox.c.id.in_(list(entry_ids)))
    found = connection.execute(_locked(connection, rows.order_by(outbox.c.id)))
    return {row.id: (EntryState(row.state), row.attempt) for row in found}


def start(connection: Connection, starts: Sequence[Start], *, lease: timedelta, now: datetime) -> None:
    """Mark entries ``sending`` under their next attempt number, with the very request that will be sent."""
    if not starts:
        return
    until = to_micros(now + lease)
    connection.execute(
        _START,
        [
            {
                "entry_id": begun.entry.id,
                "to_state": after(begun.entry.state, _START_EVENT[begun.entry.state]).value,
                "number": begun.entry.attempt + 1,
                "by": begun.provider,
                "request": begun.sealed_request,
                "until": until,
            }
            for begun in starts
        ],
    )
    _ADD_ATTEMPTS.run(connection, [(begun.entry.id, begun.entry.attempt + 1, to_micros(now)) for begun in starts])
    _GO_TO.run(connection, [(begun.entry.id, begun.destination) for begun in starts if begun.destination])


def move(connection: Connection, moves: Iterable[Move], now: datetime) -> None:
    """Take each entry its step; whatever becomes final loses its payload and its request (SPEC 5.3, shredding)."""
    queued: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    final: list[dict[str, Any]] = []
    for step in moves:
        state = after(step.state, step.event)
        row: dict[str, Any] = {
            "entry_id": step.entry_id,
            "to_state": state.value,
            "to_code": step.code,
            "to_due": None if state in FINAL else maybe_micros(step.due_at),
        }
        if state in FINAL:
            final.append({**row, "to_final": to_micros(now), "to_reference": step.provider_reference})
        else:
            (queued if state is EntryState.QUEUED else waiting).append(row)
    for statement, rows in ((_MOVE_TO_QUEUE, queued), (_MOVE, waiting), (_MOVE_TO_END, final)):
        if rows:
            connection.execute(statement, rows)


def wait_until(connection: Connection, due: dict[int, datetime | None]) -> None:
    """Put off when these ``unknown`` entries are looked at again; None: never, they wait for a person."""
    rows = [{"entry_id": entry_id, "to_due": maybe_micros(at)} for entry_id, at in due.items()]
    if rows:
        connection.execute(_PUT_OFF, rows)


def leave_to_a_person(connection: Connection, codes: dict[int, str]) -> None:
    """Say why these ``unknown`` entries are settled by nobody but staff: they are due never."""
    rows = [{"entry_id": entry_id, "why_waits": code} for entry_id, code in codes.items()]
    if rows:
        connection.execute(_LEAVE_TO_A_PERSON, rows)


def answer(connection: Connection, answers: Iterable[Answered], now: datetime) -> None:
    """Write down how attempts ended."""
    rows = [
        {"of_entry": a.entry_id, "of_number": a.number, "at": to_micros(now), "was": a.outcome, "why": a.code}
        for a in answers
    ]
    if rows:
        connection.execute(_END_ATTEMPT, rows)


def tries(connection: Connection, entry_ids: Collection[int]) -> dict[int, Tries]:
    """How often each of these entries was tried, and since when; those without a try are left out.

    A call that was never made is no try: its attempt number is used up, and that is all.
    """
    if not entry_ids:
        return {}
    a = attempts.c
    made = select(a.entry_id, func.min(a.started_at).label("since"), func.count().label("made")).where(
        a.entry_id.in_(list(entry_ids)), func.coalesce(a.outcome, "") != NOT_BEGUN
    )
    rows = connection.execute(made.group_by(a.entry_id))
    return {row.entry_id: Tries(from_micros(row.since), row.made) for row in rows}


def cancel_unsent(connection: Connection, record_ids: Collection[int], code: str, now: datetime) -> list[int]:
    """Cancel every entry of these records that was certainly not sent; gives the ids of their invitations."""
    unsent = (outbox.c.record_id.in_(list(record_ids)), outbox.c.state.in_([state.value for state in CANCELLABLE]))
    rows = connection.execute(
        _locked(
            connection, select(outbox.c.id, outbox.c.state, outbox.c.invitation_id).where(*unsent).order_by(outbox.c.id)
        )
    ).all()
    move(connection, [Move(row.id, EntryState(row.state), EntryEvent.CANCEL, code) for row in rows], now)
    return [row.invitation_id for row in rows if row.invitation_id is not None]


def lapse(connection: Connection, *, limit: int, now: datetime) -> int:
    """Free entries whose lease ran out before they were sent; call those ``unknown`` that were being sent."""
    lapsed = _take(connection, agenda.lapsed(select(*_COLUMNS), now).limit(limit))
    lost = [entry for entry in lapsed if entry.state is EntryState.SENDING]
    free = [entry for entry in lapsed if entry.state is EntryState.CLAIMED]
    move(connection, [Move(e.id, e.state, EntryEvent.RELEASE, LEASE_LAPSED, now) for e in free], now)
    move(connection, [Move(e.id, e.state, EntryEvent.LOSE, LEASE_LAPSED, now) for e in lost], now)
    answer(connection, [Answered(e.id, e.attempt, EntryState.UNKNOWN.value, LEASE_LAPSED) for e in lost], now)
    return len(lapsed)


def past_expiry(connection: Connection, *, limit: int, now: datetime) -> list[OutboxEntry]:
    """Up to ``limit`` entries that wait (queued or unknown) and whose time is over; not locked."""
    return _entries(connection, agenda.expired(select(*_COLUMNS), now).limit(limit))


def entries_with(connection: Connection, column: ColumnElement[Any], values: Collection[Any]) -> list[OutboxEntry]:
    """The entries that have one of these values in that column; not locked."""
    return _entries(connection, select(*_COLUMNS).where(column.in_(sorted(values)))) if values else []


_START_EVENT: Final = {EntryState.CLAIMED: EntryEvent.SEND, EntryState.UNKNOWN: EntryEvent.RESEND}


def _take(connection: Connection, statement: Select[Any]) -> list[OutboxEntry]:
    """Read entries and, on PostgreSQL, lock them, passing over those that somebody else holds just now."""
    if connection.dialect.name == POSTGRESQL:
        statement = statement.with_for_update(skip_locked=True)
    return _entries(connection, statement)


def _entries(connection: Connection, statement: Select[Any]) -> list[OutboxEntry]:
    return [
        OutboxEntry(
            id=row.id,
            invitation_id=row.invitation_id,
            access_token_id=row.access_token_id,
            record_id=row.record_id,
            reference=row.reference,
            channel=row.channel,
            provider=row.provider,
            state=EntryState(row.state),
            attempt=row.attempt,
            expires_at=from_micros(row.expires_at),
            sealed_payload=row.sealed_payload,
            sealed_request=row.sealed_request,
            created_at=from_micros(row.created_at),
            purpose=row.purpose,
            organisation=row.organisation,
        )
        for row in connection.execute(statement)
    ]


def _locked(connection: Connection, statement: Select[Any]) -> Select[Any]:
    return statement.with_for_update() if connection.dialect.name == POSTGRESQL else statement


def _with_state(entry: OutboxEntry, state: EntryState) -> OutboxEntry:
    return OutboxEntry(**{**{name: getattr(entry, name) for name in entry.__struct_fields__}, "state": state})

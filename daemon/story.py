"""One patient's timeline, for ``doorstep explain``: messages and what each changed, invitations, why and why not.

It tells what happened to a person, not who the person is: field names, codes and times, as the journal keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, or_, select

from hl7_listener.sender_profile import SenderProfile, nhs_number_is_valid, read_identifier
from invites import overview
from invites.overview import InvitationStory, ReasonStory, ReminderStory
from patient_records import tables
from patient_records.effects import Effect, effects_on
from patient_records.instants import from_micros, maybe_instant
from patient_records.lineage import forerunners_of, survivor_of
from patient_records.model import Identifier
from patient_records.public_ids import record_of
from patient_records.repository import Records


class EffectStory(Struct, frozen=True):
    """One thing that a message did beyond setting fields: ``act`` (such as merged_into) to ``record``, with ``other``.

    Both are public ids; ``record`` is the one of whom the story is, or one that was merged into it.
    """

    act: str
    record: str
    other: str | None


class MessageStory(Struct, frozen=True):
    """One message about the person: what came, what became of it, which fields it changed, what it did besides."""

    id: str
    received_at: datetime
    sender: str
    control_id: str
    event: str
    outcome: str
    reason: str
    answer: str
    changes: list[str]
    effects: list[EffectStory]
    findings: list[str]
    repeats: int
    last_repeat_at: datetime | None
    replay_of: str | None


class Story(Struct, frozen=True):
    """The timeline; ``id`` is the public id, ``state`` "eligible" or the weightiest reason why not.

    ``merged`` are the public ids of the records that were merged into this one; their messages and invitations are told
    as well.
    """

    id: str
    organisation: str
    state: str
    eligible: bool
    reasons: list[ReasonStory]
    merged: list[str]
    messages: list[MessageStory]
    invitations: list[InvitationStory]
    reminders: list[ReminderStory]


def find(connection: Connection, records: Records, text: str, organisations: list[str]) -> int | None:
    """The record that a text finds: a public id, an NHS number, a CX as in PID-3, or a bare local number.

    A bare number is tried with every kind of identifier that this database has seen; so is one with its authority or
    its type alone, with every kind of those: a profile may have filled in the rest.
    """
    text = text.strip()
    found = record_of(connection, text.lower())
    if found is not None:
        return found
    value, authority, kind = _parts(text)
    known = [
        Identifier(of, type_, value, owner)
        for owner, of, type_ in records.kinds.all(connection)
        if authority in {"", of} and kind in {"", type_}
    ]
    for identifier in [*_as_written(text, organisations), *known]:
        record_id = records.find_one(connection, identifier)
        if record_id is not None:
            return survivor_of(connection, record_id)
    return None


def tell(connection: Connection, record_id: int) -> Story:
    """The story of that record. Raises LookupError when there is none."""
    table = tables.patient_records
    row = connection.execute(
        select(table.c.public_id, table.c.organisation).where(table.c.id == record_id)
    ).one_or_none()
    if row is None:
        raise LookupError(record_id)
    invites = overview.explain(connection, record_id)
    forerunners = forerunners_of(connection, record_id)
    names = _public_ids(connection, forerunners)
    return Story(
        id=row.public_id,
        organisation=row.organisation,
        state=invites.state,
        eligible=invites.eligible,
        reasons=invites.reasons,
        merged=[names[id_] for id_ in forerunners],
        messages=_messages(connection, [record_id, *forerunners]),
        invitations=sorted(
            (one for id_ in (record_id, *forerunners) for one in overview.explain(connection, id_).invitations),
            key=lambda one: one.created_at,
        ),
        reminders=invites.reminders,
    )


def _as_written(text: str, organisations: list[str]) -> list[Identifier]:
    """``value^^^authority^type``, or ten digits that are an NHS number."""
    digits = text.replace(" ", "").replace("-", "")
    if nhs_number_is_valid(digits):
        return [Identifier("NHS", "NH", digits)]
    if text.count("^") < 3:  # noqa: PLR2004 (CX.4)
        return []
    read = [read_identifier(*_parts(text), SenderProfile(), code).identifier for code in organisations]
    return [identifier for identifier in read if identifier is not None]


def _parts(text: str) -> tuple[str, str, str]:
    """Value, authority (its name, else its universal id) and type of a CX; upper case, as kinds are."""
    parts = [*text.split("^"), "", "", "", ""]
    name, _, rest = parts[3].partition("&")
    return parts[0].strip(), (name or rest.partition("&")[0]).strip().upper(), parts[4].strip().upper()


def _messages(connection: Connection, record_ids: list[int]) -> list[MessageStory]:
    """Every message about these people, in the order of arrival."""
    done: dict[int, list[Effect]] = {}
    for effect in effects_on(connection, record_ids):
        done.setdefault(effect.journal_id, []).append(effect)
    names = _public_ids(connection, {id_ for some in done.values() for e in some for id_ in (e.record_id, e.other)})
    table = tables.journal
    theirs = or_(table.c.record_id.in_(record_ids), table.c.id.in_(done))
    rows = connection.execute(select(table).where(theirs).order_by(table.c.id))
    return [
        MessageStory(
            id=str(row.id),
            received_at=from_micros(row.received_at),
            sender=row.sender,
            control_id=row.control_id,
            event=row.event,
            outcome=row.outcome,
            reason=row.reason,
            answer=row.answer,
            changes=row.changes.split(),
            effects=[
                EffectStory(e.act.value, names[e.record_id], names.get(e.other) if e.other is not None else None)
                for e in done.get(row.id, ())
            ],
            findings=row.findings.split(),
            repeats=row.repeats,
            last_repeat_at=maybe_instant(row.last_repeat_at),
            replay_of=str(row.replay_of) if row.replay_of is not None else None,
        )
        for row in rows
    ]


def _public_ids(connection: Connection, record_ids: Iterable[int | None]) -> dict[int, str]:
    table = tables.patient_records
    wanted = {id_ for id_ in record_ids if id_ is not None}
    found = connection.execute(select(table.c.id, table.c.public_id).where(table.c.id.in_(wanted)))
    return {row.id: row.public_id for row in found}

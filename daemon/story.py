"""One patient's timeline, for ``doorstep explain``: messages and what each changed, invitations, why and why not.

It tells what happened to a person, not who the person is: field names, codes and times, as the journal keeps them.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, select

from hl7_listener.sender_profile import SenderProfile, nhs_number_is_valid, read_identifier
from invites import overview
from invites.overview import InvitationStory, ReasonStory
from patient_records import tables
from patient_records.instants import from_micros, maybe_instant
from patient_records.model import Identifier
from patient_records.repository import Records


class MessageStory(Struct, frozen=True):
    """One message about the person: what came, what became of it, which fields it changed."""

    id: str
    received_at: datetime
    sender: str
    control_id: str
    event: str
    outcome: str
    reason: str
    answer: str
    changes: list[str]
    findings: list[str]
    repeats: int
    last_repeat_at: datetime | None


class Story(Struct, frozen=True):
    """The timeline; ``id`` is the public id, ``state`` "eligible" or the weightiest reason why not."""

    id: str
    organisation: str
    state: str
    eligible: bool
    reasons: list[ReasonStory]
    messages: list[MessageStory]
    invitations: list[InvitationStory]


def find(connection: Connection, records: Records, text: str, organisations: list[str]) -> int | None:
    """The record that a text finds: a public id, an NHS number, a CX as in PID-3, or a bare local number.

    A bare number is tried with every kind of identifier that this database has seen.
    """
    text = text.strip()
    by_public_id = select(tables.patient_records.c.id).where(tables.patient_records.c.public_id == text.lower())
    found = connection.scalar(by_public_id)
    if found is not None:
        return int(found)
    known = [Identifier(authority, kind, text, owner) for owner, authority, kind in records.kinds.all(connection)]
    candidates = [*_as_written(text, organisations), *known]
    for identifier in candidates:
        record_id = records.find_one(connection, identifier)
        if record_id is not None:
            return _survivor(connection, record_id)
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
    return Story(
        id=row.public_id,
        organisation=row.organisation,
        state=invites.state,
        eligible=invites.eligible,
        reasons=invites.reasons,
        messages=_messages(connection, record_id),
        invitations=invites.invitations,
    )


def _as_written(text: str, organisations: list[str]) -> list[Identifier]:
    """``value^^^authority^type``, or ten digits that are an NHS number."""
    digits = text.replace(" ", "").replace("-", "")
    if nhs_number_is_valid(digits):
        return [Identifier("NHS", "NH", digits)]
    parts = text.split("^")
    if len(parts) < 4:  # noqa: PLR2004 (CX.4)
        return []
    kind = parts[4] if len(parts) > 4 else ""  # noqa: PLR2004 (CX.5)
    authority = parts[3].partition("&")[0]
    read = [read_identifier(parts[0], authority, kind, SenderProfile(), code).identifier for code in organisations]
    return [identifier for identifier in read if identifier is not None]


def _survivor(connection: Connection, record_id: int) -> int:
    table = tables.patient_records
    while (merged := connection.scalar(select(table.c.merged_into).where(table.c.id == record_id))) is not None:
        record_id = merged
    return record_id


def _messages(connection: Connection, record_id: int) -> list[MessageStory]:
    table = tables.journal
    rows = connection.execute(select(table).where(table.c.record_id == record_id).order_by(table.c.id))
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
            findings=row.findings.split(),
            repeats=row.repeats,
            last_repeat_at=maybe_instant(row.last_repeat_at),
        )
        for row in rows
    ]

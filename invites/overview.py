"""Looking at invitations without touching them: numbers for ``status``, one person for ``explain``.

Only codes, counts and times come out of here. :mod:`invites.outlook` looks ahead, for the dry run.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection, func, select, text

from invites import bad_contacts, canary, pauses, receipt_rows, reminders
from invites.canary import Canary
from invites.eligibility import ELIGIBLE, Reason
from invites.pauses import Pause
from invites.tables import LEASED, QUEUED, UNKNOWN, access_tokens, attempts, eligibility, invitations, outbox
from patient_records.instants import from_micros, maybe_instant, to_micros


class InviteStatus(Struct, frozen=True):
    """Where everybody and everything stands.

    ``people`` by eligibility state, ``entries`` by channel and state; ``oldest_waiting`` is when the oldest entry was
    made that is neither final nor unknown; ``for_a_person`` counts unknown entries that nobody can settle but staff.
    ``receipts`` are entries by channel and by what their receipts say; ``bad_contacts`` by channel;
    ``pauses`` are those in force, ``canaries`` where each organisation's first run stands.
    """

    people: dict[str, int]
    entries: dict[str, dict[str, int]]
    oldest_waiting: datetime | None
    for_a_person: int
    live_pairs: int
    receipts: dict[str, dict[str, int]] = {}
    bad_contacts: dict[str, int] = {}
    pauses: list[Pause] = []
    canaries: list[Canary] = []


class AttemptStory(Struct, frozen=True):
    """One call of a provider; without an outcome it is under way, or its process died."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    outcome: str | None
    code: str | None


class ReceiptStory(Struct, frozen=True):
    """What a provider said afterwards; ``counts`` marks the one that prevails, ``repeats`` how often it came again."""

    state: str
    at: datetime
    code: str
    permanent: bool
    repeats: int
    counts: bool


class InvitationStory(Struct, frozen=True):
    """One invitation and its way out; ``state`` and ``code`` are its outbox entry's."""

    purpose: str
    number: int
    channel: str
    state: str
    code: str | None
    created_at: datetime
    due_at: datetime | None
    pair_expires_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    attempts: list[AttemptStory]
    receipts: list[ReceiptStory] = []


class ReasonStory(Struct, frozen=True):
    """A reason why a person is not invited, as a code and for humans."""

    code: str
    sentence: str


class ReminderStory(Struct, frozen=True):
    """What was decided about a reminder when its time came: the channel that it went by, or why none did."""

    number: int
    decided_at: datetime
    outcome: str


class PersonStory(Struct, frozen=True):
    """Why a person was invited, or why not yet, and every invitation and attempt, oldest first."""

    state: str
    eligible: bool
    reasons: list[ReasonStory]
    assessed_on: str | None
    invitations: list[InvitationStory]
    reminders: list[ReminderStory] = []


def status(connection: Connection) -> InviteStatus:
    """Count where everybody and everything stands."""
    unknown = (text(UNKNOWN), outbox.c.due_at.is_(None))
    live = access_tokens.c.ended_at.is_(None)
    return InviteStatus(
        people=people_by_state(connection),
        entries=entries_by_state(connection),
        oldest_waiting=_oldest_waiting(connection),
        for_a_person=connection.scalar(select(func.count()).select_from(outbox).where(*unknown)) or 0,
        live_pairs=connection.scalar(select(func.count()).select_from(access_tokens).where(live)) or 0,
        receipts=receipt_rows.count_by_channel(connection),
        bad_contacts=bad_contacts.count_bad(connection),
        pauses=pauses.in_force(connection),
        canaries=canary.all_of(connection),
    )


def entries_by_state(connection: Connection) -> dict[str, dict[str, int]]:
    """Count outbox entries by channel and state; what there is none of is left out."""
    entries: dict[str, dict[str, int]] = {}
    grouped = select(outbox.c.channel, outbox.c.state, func.count()).group_by(outbox.c.channel, outbox.c.state)
    for channel, state, count in connection.execute(grouped):
        entries.setdefault(channel, {})[state] = count
    return entries


def longest_due(connection: Connection, now: datetime) -> datetime | None:
    """Since when the entry is due that is due for longest and not sent; None where nothing is due."""
    due = (text(QUEUED), outbox.c.due_at <= to_micros(now))
    return maybe_instant(connection.scalar(select(func.min(outbox.c.due_at)).where(*due)))


def _oldest_waiting(connection: Connection) -> datetime | None:
    """When the oldest entry was made that is neither final nor unknown: by the two indexes that know those."""
    oldest = select(func.min(outbox.c.created_at))
    found = [connection.scalar(oldest.where(text(waiting))) for waiting in (QUEUED, LEASED)]
    return maybe_instant(min((at for at in found if at is not None), default=None))


def people_by_state(connection: Connection, organisation: str | None = None) -> dict[str, int]:
    """Count people by eligibility state, of one organisation or of all."""
    statement = select(eligibility.c.state, func.count()).group_by(eligibility.c.state)
    if organisation is not None:
        statement = statement.where(eligibility.c.organisation == organisation)
    return {state: count for state, count in connection.execute(statement)}  # noqa: C416 (a row is no pair to mypy)


def explain(connection: Connection, record_id: int) -> PersonStory:
    """Tell one person's story as far as invitations go."""
    row = connection.execute(select(eligibility).where(eligibility.c.record_id == record_id)).one_or_none()
    codes = [code for code in row.reasons.split(",") if code] if row is not None else []
    return PersonStory(
        state=row.state if row is not None else "not_assessed",
        eligible=row is not None and row.state == ELIGIBLE,
        reasons=[ReasonStory(code, Reason(code).sentence) for code in codes],
        assessed_on=row.assessed_on if row is not None else None,
        invitations=_invitations(connection, record_id),
        reminders=[ReminderStory(*decided) for decided in reminders.decided_of(connection, record_id)],
    )


def _invitations(connection: Connection, record_id: int) -> list[InvitationStory]:
    tries = _attempts(connection, record_id)
    statement = (
        select(
            invitations,
            outbox.c.id.label("entry_id"),
            outbox.c.channel,
            outbox.c.state,
            outbox.c.code,
            outbox.c.due_at,
            access_tokens.c.expires_at,
        )
        .join(outbox, outbox.c.invitation_id == invitations.c.id)
        .join(access_tokens, access_tokens.c.id == invitations.c.access_token_id)
        .where(invitations.c.record_id == record_id, outbox.c.record_id == record_id)
        .order_by(invitations.c.created_at, invitations.c.number)
    )
    rows = connection.execute(statement).all()
    said = receipt_rows.known(connection, [row.entry_id for row in rows])
    return [
        InvitationStory(
            purpose=row.purpose,
            number=row.number,
            channel=row.channel,
            state=row.state,
            code=row.code,
            created_at=from_micros(row.created_at),
            due_at=maybe_instant(row.due_at),
            pair_expires_at=from_micros(row.expires_at),
            ended_at=maybe_instant(row.ended_at),
            end_reason=row.end_reason,
            attempts=tries.get(row.entry_id, []),
            receipts=[
                ReceiptStory(each.state.value, each.at, each.code, each.permanent, each.repeats, each.counts)
                for each in said.get(row.entry_id, [])
            ],
        )
        for row in rows
    ]


def _attempts(connection: Connection, record_id: int) -> dict[int, list[AttemptStory]]:
    statement = (
        select(attempts)
        .join(outbox, outbox.c.id == attempts.c.entry_id)
        .where(outbox.c.record_id == record_id)
        .order_by(attempts.c.entry_id, attempts.c.number)
    )
    tries: dict[int, list[AttemptStory]] = {}
    for row in connection.execute(statement):
        story = AttemptStory(
            row.number, from_micros(row.started_at), maybe_instant(row.finished_at), row.outcome, row.code
        )
        tries.setdefault(row.entry_id, []).append(story)
    return tries

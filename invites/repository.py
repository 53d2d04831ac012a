"""Eligibility rows, access tokens and invitations: what is asked of them, always many at a time.

The caller brings the transaction; nothing here commits, opens a record or decides. Outbox entries have a room of their
own, :mod:`invites.outbox`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, Connection, Text, bindparam, func, select, text, tuple_, update

from invites.eligibility import ELIGIBLE, Assessment, Ineligible
from invites.invitation import EntryState
from invites.tables import UNDER_AGE, access_tokens, eligibility, invitations, outbox, policy_walks
from patient_records.bulk import BulkInsert, Row
from patient_records.instants import from_micros, to_micros
from patient_records.tables import patient_records
from patient_records.unit_of_work import POSTGRESQL

_PUT: Final = BulkInsert(
    eligibility,
    ("record_id", "organisation", "state", "reasons", "assessed_on"),
    key=("record_id",),
    update=("state", "reasons", "assessed_on"),
)

_PAGE: Final = (
    select(eligibility.c.record_id)
    .where(
        eligibility.c.state == bindparam("state"),
        eligibility.c.organisation == bindparam("organisation"),
        eligibility.c.record_id > bindparam("after"),
    )
    .order_by(eligibility.c.record_id)
    .limit(bindparam("size"))
)

_UNDER_AGE_PAGE: Final = (
    select(eligibility.c.assessed_on, eligibility.c.record_id)
    .where(
        text(UNDER_AGE),
        eligibility.c.organisation == bindparam("organisation"),
        eligibility.c.assessed_on < bindparam("today"),
        tuple_(eligibility.c.assessed_on, eligibility.c.record_id)
        > tuple_(bindparam("after_day", type_=Text), bindparam("after", type_=BigInteger)),
    )
    .order_by(eligibility.c.assessed_on, eligibility.c.record_id)
    .limit(bindparam("size"))
)

_ASSESSED_PAGE: Final = (
    select(eligibility.c.record_id, eligibility.c.organisation)
    .where(eligibility.c.record_id > bindparam("after"))
    .order_by(eligibility.c.record_id)
    .limit(bindparam("size"))
)

_REASONS: Final = select(eligibility.c.record_id, eligibility.c.reasons).where(
    eligibility.c.record_id.in_(bindparam("ids", expanding=True))
)

UNSENT: Final = (EntryState.CANCELLED.value, EntryState.EXPIRED.value)
"""Why an invitation may have ended that never left the house: it is as if there had been none (SPEC 5.1)."""

FAILED: Final = (EntryState.REFUSED.value, EntryState.GIVEN_UP.value)
"""Why an invitation may have ended whose channel certainly reached nobody. It counts against that channel only: a
refused one until the person can be reached elsewhere by it, a given up one for :data:`REST`."""

NEW_CONTACT: Final = "new_contact"
"""What stands in place of those once the channel leads elsewhere: the failure says nothing of the new address."""

UNREACHED: Final = "unreached"
"""Why an invitation ended of which a receipt said that it reached nobody for now: its channel rests, as a given up one
does, and its pair lives on."""

BOUNCED: Final = "bounced"
"""Why an invitation ended of which a receipt said that it never can reach anybody there: its contact is bad."""

REST: Final = timedelta(days=1)
"""How long a channel rests that was given up: an outage passes, and until then others do not wait in vain."""

_RESTING: Final = (EntryState.GIVEN_UP.value, UNREACHED)

_INVITED: Final = (
    select(invitations.c.record_id)
    .where(
        invitations.c.record_id.in_(bindparam("ids", expanding=True)),
        func.coalesce(invitations.c.end_reason, "").not_in((*UNSENT, *FAILED, NEW_CONTACT, UNREACHED, BOUNCED)),
    )
    .distinct()
)

_FAILED: Final = (
    select(
        invitations.c.id, invitations.c.record_id, outbox.c.channel, invitations.c.end_reason, invitations.c.ended_at
    )
    .join(outbox, (outbox.c.record_id == invitations.c.record_id) & (outbox.c.invitation_id == invitations.c.id))
    .where(
        invitations.c.record_id.in_(bindparam("ids", expanding=True)),
        invitations.c.end_reason.in_((*FAILED, UNREACHED, BOUNCED)),
    )
)

_NUMBERS: Final = (
    select(invitations.c.record_id, func.max(invitations.c.number).label("number"))
    .where(
        invitations.c.record_id.in_(bindparam("ids", expanding=True)),
        invitations.c.purpose == bindparam("purpose"),
    )
    .group_by(invitations.c.record_id)
)

_TOKEN_TIMES: Final = select(
    access_tokens.c.id, access_tokens.c.created_at, access_tokens.c.expires_at, access_tokens.c.ended_at
).where(access_tokens.c.id.in_(bindparam("ids", expanding=True)))

_PURPOSES: Final = select(invitations.c.id, invitations.c.purpose).where(
    invitations.c.id.in_(bindparam("ids", expanding=True))
)


PAIR_EXPIRED: Final = "pair_expired"
"""Why an invitation ended that was sent and not used in time."""

_WALK: Final = BulkInsert(
    policy_walks,
    ("organisation", "policy", "begun_at", "through", "finished_at"),
    key=("organisation", "policy"),
    update=("begun_at", "through", "finished_at"),
)


class FailedInvitation(Struct, frozen=True):
    """An invitation that reached nobody because its channel failed: refused, or given up at that time.

    ``bounced``: because of its contact, which is bad by itself, so that the channel has no blame.
    """

    id: int
    record_id: int
    channel: str
    given_up_at: datetime | None
    bounced: bool = False


class TokenTimes(Struct, frozen=True):
    """From when to when a pair lives, and whether it ended before."""

    created_at: datetime
    expires_at: datetime
    ended: bool


def eligibility_row(record_id: int, organisation: str, assessment: Assessment, on: date) -> Row:
    """Give the row of the eligibility table that says this."""
    reasons = ",".join(assessment.reasons) if isinstance(assessment, Ineligible) else ""
    return (record_id, organisation, assessment.state, reasons, on.isoformat())


def put_eligibility(connection: Connection, rows: Iterable[Row]) -> None:
    """Insert or replace rows of the eligibility table; each record once."""
    _PUT.run(connection, list(rows))


def eligible_page(connection: Connection, organisation: str, after: int, size: int) -> list[int]:
    """The next records, in the order of ids, that are down as eligible."""
    page = {"state": ELIGIBLE, "organisation": organisation, "after": after, "size": size}
    return list(connection.scalars(_PAGE, page))


def under_age_page(
    connection: Connection, organisation: str, today: date, after: tuple[str, int], size: int
) -> list[tuple[str, int]]:
    """The next records that were under age when last looked at, before today: that day and the record, in this order.

    ``after`` is the last of the page before, ``("", 0)`` at first.
    """
    page = {"organisation": organisation, "today": today.isoformat(), "size": size}
    rows = connection.execute(_UNDER_AGE_PAGE, {**page, "after_day": after[0], "after": after[1]})
    return [(row.assessed_on, row.record_id) for row in rows]


def state_page(
    connection: Connection, state: str, organisation: str, today: date, *, after: int, size: int
) -> list[int]:
    """The next records, in the order of ids, that were in this state when last looked at, before today."""
    page = {"state": state, "organisation": organisation, "after": after, "size": size}
    return list(connection.scalars(_PAGE.where(eligibility.c.assessed_on < today.isoformat()), page))


def invited_among(connection: Connection, ids: Collection[int]) -> set[int]:
    """Those of these records that were invited: an invitation that certainly reached nobody is none."""
    return set(connection.scalars(_INVITED, {"ids": list(ids)})) if ids else set()


def failed_invitations(connection: Connection, ids: Collection[int]) -> list[FailedInvitation]:
    """The invitations of these records whose channel failed, where it still leads to the same address."""
    if not ids:
        return []
    return [
        FailedInvitation(
            row.id,
            row.record_id,
            row.channel,
            from_micros(row.ended_at) if row.end_reason in _RESTING else None,
            row.end_reason == BOUNCED,
        )
        for row in connection.execute(_FAILED, {"ids": list(ids)})
    ]


def failed_channels(connection: Connection, ids: Collection[int], now: datetime) -> dict[int, set[str]]:
    """By which channels not to try each of these records now; those without such a channel are left out."""
    channels: dict[int, set[str]] = {}
    for failed in failed_invitations(connection, ids):
        if not failed.bounced and (failed.given_up_at is None or failed.given_up_at + REST > now):
            channels.setdefault(failed.record_id, set()).add(failed.channel)
    return channels


def forget_failures(connection: Connection, ids: Collection[int]) -> None:
    """Note of these failed invitations that their channel leads elsewhere now."""
    if ids:
        connection.execute(update(invitations).where(invitations.c.id.in_(list(ids))).values(end_reason=NEW_CONTACT))


def highest_numbers(connection: Connection, ids: Collection[int], purpose: str) -> dict[int, int]:
    """The highest invitation number of each of these records for a purpose; those without one are left out."""
    if not ids:
        return {}
    rows = connection.execute(_NUMBERS, {"ids": list(ids), "purpose": purpose})
    return {row.record_id: row.number for row in rows}


def purposes_of(connection: Connection, invitation_ids: Collection[int]) -> dict[int, str]:
    """The purpose of each of these invitations."""
    if not invitation_ids:
        return {}
    rows = connection.execute(_PURPOSES, {"ids": list(invitation_ids)})
    return {row.id: row.purpose for row in rows}


def token_times(connection: Connection, token_ids: Collection[int]) -> dict[int, TokenTimes]:
    """From when to when each of these pairs lives, and whether it ended before."""
    if not token_ids:
        return {}
    rows = connection.execute(_TOKEN_TIMES, {"ids": list(token_ids)})
    return {
        row.id: TokenTimes(from_micros(row.created_at), from_micros(row.expires_at), row.ended_at is not None)
        for row in rows
    }


def end_tokens_of(connection: Connection, record_ids: Collection[int], reason: str, now: datetime) -> None:
    """End every outstanding pair of these records: what their wraps protected can be opened by nobody any more."""
    if record_ids:
        _end_tokens(connection, access_tokens.c.record_id.in_(list(record_ids)), reason, now)


def end_tokens(connection: Connection, token_ids: Collection[int], reason: str, now: datetime) -> None:
    """End these pairs; one that ended before keeps its reason."""
    if token_ids:
        _end_tokens(connection, access_tokens.c.id.in_(list(token_ids)), reason, now)


def _end_tokens(connection: Connection, which: object, reason: str, now: datetime) -> None:
    statement = update(access_tokens).where(which, access_tokens.c.ended_at.is_(None))  # type: ignore[arg-type]
    connection.execute(statement.values(ended_at=to_micros(now), end_reason=reason, wrapped_key=None))


def end_undelivered(connection: Connection, ids: Collection[int], reason: str, now: datetime) -> None:
    """End these invitations for never having reached anybody, whatever was said of their end before."""
    if ids:
        ended_at = func.coalesce(invitations.c.ended_at, to_micros(now))
        statement = update(invitations).where(invitations.c.id.in_(list(ids)))
        connection.execute(statement.values(ended_at=ended_at, end_reason=reason))


def delivered_after_all(connection: Connection, ids: Collection[int]) -> None:
    """Take back that these invitations reached nobody for now. One that bounced stays ended: its pair opens nothing."""
    if ids:
        pair = select(access_tokens.c.ended_at).where(access_tokens.c.id == invitations.c.access_token_id)
        mine = invitations.c.id.in_(list(ids)) & (invitations.c.end_reason == UNREACHED)
        over = pair.scalar_subquery().is_not(None)
        connection.execute(update(invitations).where(mine, over).values(end_reason=PAIR_EXPIRED))
        connection.execute(update(invitations).where(mine).values(ended_at=None, end_reason=None))


def end_invitations_of(connection: Connection, record_ids: Collection[int], reason: str, now: datetime) -> None:
    """End all invitations of these records that did not end before."""
    if record_ids:
        statement = update(invitations).where(invitations.c.record_id.in_(list(record_ids)))
        statement = statement.where(invitations.c.ended_at.is_(None))
        connection.execute(statement.values(ended_at=to_micros(now), end_reason=reason))


def any_token_over(connection: Connection, now: datetime) -> bool:
    """Whether :func:`expire_tokens` would find anything; for a reader."""
    return bool(_tokens_over(connection, limit=1, now=now))


def expire_tokens(connection: Connection, *, limit: int, now: datetime) -> int:
    """End up to ``limit`` pairs whose life is over, and their invitations; gives how many.

    Records are locked first, and invitations are ended before tokens: the order in which a death takes them, too.
    """
    over = _tokens_over(connection, limit=limit, now=now)
    if over:
        ids, record_ids = list(over), sorted(set(over.values()))
        lock_records(connection, record_ids)
        statement = update(invitations).where(
            invitations.c.record_id.in_(record_ids),
            invitations.c.access_token_id.in_(ids),
            invitations.c.ended_at.is_(None),
        )
        connection.execute(statement.values(ended_at=to_micros(now), end_reason=PAIR_EXPIRED))
        end_tokens(connection, ids, EntryState.EXPIRED.value, now)
    return len(over)


def _tokens_over(connection: Connection, *, limit: int, now: datetime) -> dict[int, int]:
    """Pairs that still live and should not any more, the longest overdue first, each with its record."""
    over = (access_tokens.c.ended_at.is_(None), access_tokens.c.expires_at <= to_micros(now))
    rows = select(access_tokens.c.id, access_tokens.c.record_id).where(*over).order_by(access_tokens.c.expires_at)
    return {row.id: row.record_id for row in connection.execute(rows.limit(limit))}


def lock_records(connection: Connection, record_ids: Collection[int]) -> None:
    """Hold the rows of these records until the transaction ends, before anything of theirs is touched here."""
    if connection.dialect.name == POSTGRESQL:
        rows = select(patient_records.c.id).where(patient_records.c.id.in_(list(record_ids)))
        connection.execute(rows.order_by(patient_records.c.id).with_for_update())


def assessed_page(connection: Connection, after: int, size: int) -> list[tuple[int, str]]:
    """The next assessed records of all organisations, in the order of ids, each with whose it is.

    Not of one organisation: that would need an index that every new person pays for, and serve a walk a year.
    """
    page = {"after": after, "size": size}
    return [(row.record_id, row.organisation) for row in connection.execute(_ASSESSED_PAGE, page)]


def reasons_of(connection: Connection, record_ids: Collection[int]) -> dict[int, frozenset[str]]:
    """The reasons with which each of these records is down; those never assessed are left out."""
    if not record_ids:
        return {}
    rows = connection.execute(_REASONS, {"ids": list(record_ids)})
    return {row.record_id: frozenset(row.reasons.split(",")) for row in rows}


def begin_walk(connection: Connection, organisation: str, policy: str, now: datetime) -> None:
    """Begin a walk anew, unless the organisation's last one to be begun was under this policy: then that goes on."""
    statement = select(policy_walks).where(policy_walks.c.organisation == organisation)
    newest = connection.execute(statement.order_by(policy_walks.c.begun_at.desc()).limit(1)).one_or_none()
    if newest is None or newest.policy != policy:
        begun_at = max(to_micros(now), newest.begun_at + 1 if newest is not None else 0)
        _WALK.run(connection, [(organisation, policy, begun_at, 0, None)])


def walked_through(connection: Connection, organisation: str, policy: str) -> int | None:
    """Up to which record everybody was assessed under this policy; 0 when none was, None when all were."""
    row = connection.execute(select(policy_walks).where(*_walk(organisation, policy))).one_or_none()
    if row is None:
        return 0
    return None if row.finished_at is not None else int(row.through)


def note_walk(connection: Connection, organisation: str, policy: str, through: int | None, now: datetime) -> None:
    """Note how far a walk has come; None: it is finished. Another daemon that is further on is not set back."""
    open_still = (*_walk(organisation, policy), policy_walks.c.finished_at.is_(None))
    if through is None:
        connection.execute(update(policy_walks).where(*open_still).values(finished_at=to_micros(now)))
    else:
        behind = policy_walks.c.through < through
        connection.execute(update(policy_walks).where(*open_still, behind).values(through=through))


def _walk(organisation: str, policy: str) -> tuple[ColumnElement[bool], ...]:
    return (policy_walks.c.organisation == organisation, policy_walks.c.policy == policy)

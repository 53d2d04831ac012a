"""What a changed record means for invitations, in the transaction that changes it (SPEC 3.5, consequences).

This runs for every batch of messages, on the way to their acknowledgments, so it is written to do nothing where nothing
changed: a record is assessed as it was and as it is, and only a difference touches the database. A new record costs one
row, all of a batch in one statement.

Death, deletion, a merge, registration, a hold or an exclusion, and a changed date of birth *stop*: queued entries are
cancelled and outstanding pairs end. One that is marked *sending* is stopped by the :mod:`~invites.last_look`, unless
its call has begun, which cannot be called back; its pair ends all the same. An invitation that was stopped before it
left the house does not count as one, so that the person is invited once the hold is lifted or the date of birth is
right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from invites import outbox, repository
from invites.eligibility import STOPPING, Assessment, Eligible, Reason, assess
from invites.invitation import EntryState
from invites.options import InviteOptions
from invites.reassess import reassess
from invites.recipient import reachable
from patient_records.bulk import Row
from patient_records.model import PatientRecord
from patient_records.ports import RecordChange

NEW_DATE_OF_BIRTH: Final = "new_date_of_birth"
"""Why a pair ended whose challenge has another answer now."""


class Consequences:
    """Hears of changed records and keeps eligibility, outbox and pairs in step: the ``RecordChanges`` of this room."""

    def __init__(self, options: InviteOptions) -> None:
        self._options = options

    def records_changed(self, connection: Connection, changes: Sequence[RecordChange], now: datetime) -> None:
        """Bring eligibility up to date for all changes of a transaction, and stop what must be stopped."""
        policy, today = self._options.policy, self._options.today(now)
        rows: dict[int, Row] = {}
        differing: dict[int, PatientRecord] = {}
        stops: dict[str, set[int]] = defaultdict(set)
        moved: dict[int, RecordChange] = {}
        for change in changes:
            record = change.after
            if change.before is None:
                found = assess(record, policy, today, invited=False)
                rows[record.id] = repository.eligibility_row(record.id, record.organisation, found, today)
            elif not _alike(change.before, record):
                was = assess(change.before, policy, today, invited=False)
                found = assess(record, policy, today, invited=False)
                stop = _stop(change, was, found)
                if stop is not None:
                    stops[stop].add(record.id)
                if _moved(change.before, record):
                    moved[record.id] = change
                if stop is not None or _reasons(was) != _reasons(found):
                    differing[record.id] = record
        for reason, ids in stops.items():
            stop_records(connection, ids, reason, now)
        repository.put_eligibility(connection, rows.values())
        differing |= {id_: moved[id_].after for id_ in _forget_failures(connection, moved)}
        if differing:
            reassess(connection, differing.values(), self._options, now)


def _forget_failures(connection: Connection, moved: dict[int, RecordChange]) -> set[int]:
    """Forget that a channel failed which leads elsewhere now; gives all with failures, to be assessed anew."""
    failed = repository.failed_invitations(connection, moved)
    elsewhere = [each.id for each in failed if _leads_elsewhere(moved[each.record_id], each.channel)]
    repository.forget_failures(connection, elsewhere)
    return {each.record_id for each in failed}


def _leads_elsewhere(change: RecordChange, channel: str) -> bool:
    before = change.before.demographics if change.before is not None else None
    return before is None or reachable(before, channel) != reachable(change.after.demographics, channel)


def look_again(connection: Connection, records: Iterable[PatientRecord], options: InviteOptions, now: datetime) -> None:
    """Assess people whom no message touched, and stop those whose reasons gained one that stops (SPEC 3.5).

    A rule that begins to exclude somebody ends what is under way, as a message would. The caller has locked them.
    """
    by_id = {record.id: record for record in records}
    before = repository.reasons_of(connection, by_id)
    today = options.today(now)
    stops: dict[str, set[int]] = defaultdict(set)
    for id_, record in by_id.items():
        gained = _gained(assess(record, options.policy, today, invited=False), before.get(id_, frozenset()))
        if gained is not None:
            stops[gained].add(id_)
    for reason, ids in stops.items():
        stop_records(connection, ids, reason, now)
    reassess(connection, by_id.values(), options, now)


def stop_records(connection: Connection, record_ids: set[int], reason: str, now: datetime) -> None:
    """Cancel what these people are still to be sent, and end every pair and invitation of theirs."""
    cancelled = outbox.cancel_unsent(connection, record_ids, reason, now)
    repository.end_undelivered(connection, cancelled, EntryState.CANCELLED.value, now)
    repository.end_invitations_of(connection, record_ids, reason, now)
    repository.end_tokens_of(connection, record_ids, reason, now)


def _moved(before: PatientRecord, record: PatientRecord) -> bool:
    """Whether anything changed that says where a message goes."""
    was, is_now = before.demographics, record.demographics
    return (was.home, was.work, was.addresses, was.names) != (is_now.home, is_now.work, is_now.addresses, is_now.names)


def _alike(before: PatientRecord, record: PatientRecord) -> bool:
    """Whether nothing changed that eligibility or a challenge depends on: most messages that are no news."""
    was, is_now = before.demographics, record.demographics
    return (
        before.standing == record.standing
        and was.birth == is_now.birth
        and was.death == is_now.death
        and was.home == is_now.home
        and was.work == is_now.work
        and was.addresses == is_now.addresses
        and was.names == is_now.names
        and was.sender == is_now.sender
        and (was.publicity, was.protection, was.vip) == (is_now.publicity, is_now.protection, is_now.vip)
    )


def _reasons(assessment: Assessment) -> tuple[Reason, ...]:
    return () if isinstance(assessment, Eligible) else assessment.reasons


def _stop(change: RecordChange, was: Assessment, found: Assessment) -> str | None:
    """Why this change stops what is under way, if it does."""
    gained = _gained(found, _reasons(was))
    if gained is not None:
        return gained
    born = change.before.demographics.birth if change.before is not None else None
    if born is not None and born != change.after.demographics.birth:
        return NEW_DATE_OF_BIRTH
    return None


def _gained(found: Assessment, before: Collection[str]) -> str | None:
    """Give the weightiest reason that stops and was not there before."""
    return next((reason.value for reason in _reasons(found) if reason in STOPPING and reason not in before), None)

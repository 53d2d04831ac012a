"""What time alone brings about: leases lapse, pairs and entries expire, people come of age, a new policy takes hold.

Every step is bounded (a chunk to a transaction), looks for what is due in the tables and not in any memory, and may be
done by several daemons at once or twice over without harm: the second finds nothing left to do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from invites import outbox, repository
from invites.eligibility import Policy
from invites.invitation import EntryEvent, EntryState
from invites.legible import legible
from invites.onward import Onward, Undelivered
from invites.options import InviteOptions
from invites.outbox import Move, OutboxEntry
from invites.reassess import reassess
from patient_records.repository import Records
from patient_records.tables import patient_records
from patient_records.unit_of_work import Database

_CHUNK: Final = 200  # people unsealed in one transaction: some 10 ms, in which SQLite's other writers wait


class SweepReport(Struct):
    """What one sweep found: leases that lapsed, entries and pairs that expired, people looked at again."""

    lapsed: int = 0
    entries: int = 0
    pairs: int = 0
    looked_at_again: int = 0


class Sweep:
    """Does what time alone brings about. One object serves any number of runs."""

    def __init__(self, database: Database, records: Records, onward: Onward, options: InviteOptions) -> None:
        self._database = database
        self._records = records
        self._onward = onward
        self._options = options

    def run(self, stopping: Callable[[], bool] = lambda: False) -> SweepReport:
        """Do all that is due; ends early, between chunks, when stopping. Raises StorageUnavailable."""
        report = SweepReport()
        report.lapsed = self._until_done(self._lapse, stopping)
        report.entries = self._until_done(self._expire_entries, stopping)
        report.pairs = self._until_done(self._expire_pairs, stopping)
        for organisation in self._options.organisations:
            report.looked_at_again += self._come_of_age(organisation, stopping)
            report.looked_at_again += self._apply_policy(organisation, stopping)
        return report

    def _until_done(self, step: Callable[[Connection, datetime], int], stopping: Callable[[], bool]) -> int:
        """Do a step, a transaction each time, until it finds nothing; gives how much it found."""
        total = 0
        while not stopping():
            with self._database.begin() as connection:
                found = step(connection, self._database.now(connection))
            if not found:
                break
            total += found
        return total

    def _lapse(self, connection: Connection, now: datetime) -> int:
        return outbox.lapse(connection, limit=_CHUNK, now=now)

    def _expire_entries(self, connection: Connection, now: datetime) -> int:
        """End entries whose time is over: unsent ones as *expired*, unknown ones given up with nothing to follow."""
        entries = outbox.past_expiry(connection, limit=_CHUNK, now=now)
        people = self._onward.lock(connection, entries)
        states = outbox.at_attempts(connection, {entry.id: entry.attempt for entry in entries})
        still = [entry for entry in entries if states.get(entry.id) is entry.state]
        outbox.move(connection, [_expiry(entry) for entry in still], now)
        unsent = [Undelivered(e, EntryState.EXPIRED) for e in still if e.state is EntryState.QUEUED]
        self._onward.go_on(connection, unsent, people, now)
        return len(still)

    def _expire_pairs(self, connection: Connection, now: datetime) -> int:
        """Delete the wraps of pairs whose life is over (SPEC 5.2)."""
        return repository.expire_tokens(connection, limit=_CHUNK, now=now)

    def _come_of_age(self, organisation: str, stopping: Callable[[], bool]) -> int:
        """Look at everybody who was under age when last looked at, once a day."""
        looked_at, last = 0, 0
        while not stopping():
            with self._database.begin() as connection:
                now = self._database.now(connection)
                today = self._options.today(now)
                ids = repository.under_age_page(connection, organisation, today, last, _CHUNK)
                self._look_again(connection, ids, now)
            if not ids:
                break
            last = ids[-1]
            looked_at += len(ids)
        return looked_at

    def _apply_policy(self, organisation: str, stopping: Callable[[], bool]) -> int:
        """Look at everybody once under a policy that is new; goes on where an earlier run was stopped."""
        policy, looked_at = fingerprint(self._options.policy), 0
        while not stopping():
            with self._database.begin() as connection:
                now = self._database.now(connection)
                through = repository.walked_through(connection, organisation, policy)
                if through is None:
                    break
                ids = _records_after(connection, organisation, through, _CHUNK)
                self._look_again(connection, ids, now)
                repository.note_walk(connection, organisation, policy, ids[-1] if ids else None, now)
            looked_at += len(ids)
        return looked_at

    def _look_again(self, connection: Connection, ids: list[int], now: datetime) -> None:
        opened = legible(partial(self._records.load, lock=True), connection, ids)
        reassess(connection, [person.record for person in opened.values()], self._options, now)


def fingerprint(policy: Policy) -> str:
    """Tell policies apart: sixteen hexadecimal digits that change when any part of it does."""
    return hashlib.sha256(msgspec.json.encode(policy, enc_hook=str, order="deterministic")).hexdigest()[:16]


def _expiry(entry: OutboxEntry) -> Move:
    event = EntryEvent.EXPIRE if entry.state is EntryState.QUEUED else EntryEvent.GIVE_UP
    return Move(entry.id, entry.state, event, "expired")


def _records_after(connection: Connection, organisation: str, last: int, size: int) -> list[int]:
    table = patient_records
    page = select(table.c.id).where(table.c.organisation == organisation, table.c.id > last)
    return list(connection.scalars(page.order_by(table.c.id).limit(size)))

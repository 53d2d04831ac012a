"""What time alone brings about: leases lapse, pairs and entries expire, people come of age, a new policy takes hold.

Every step is bounded (a chunk to a transaction), looks for what is due in the tables and not in any memory, and may be
done by several daemons at once or twice over without harm: the second finds nothing left to do.

Each step looks before it writes. SQLite has one writer, and acknowledgments wait for it; a sweep with nothing to do,
which is nearly every one, only reads.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from msgspec import Struct
from sqlalchemy import Connection

from invites import agenda, outbox, repository
from invites.consequences import look_again
from invites.invitation import EntryEvent, EntryState
from invites.legible import legible
from invites.onward import Onward, Undelivered
from invites.options import InviteOptions
from invites.outbox import Move, OutboxEntry
from invites.policy_walk import CHUNK, PolicyWalk
from invites.receipts import Receipts
from patient_records.repository import Records
from patient_records.sweeping import until_done
from patient_records.unit_of_work import Database


class SweepReport(Struct):
    """What one sweep found: leases that lapsed, entries and pairs that expired, people looked at, late receipts."""

    lapsed: int = 0
    entries: int = 0
    pairs: int = 0
    looked_at_again: int = 0
    receipts: int = 0


class Sweep:
    """Does what time alone brings about. One object serves any number of runs."""

    def __init__(
        self, database: Database, records: Records, onward: Onward, options: InviteOptions, receipts: Receipts
    ) -> None:
        self._database = database
        self._records = records
        self._onward = onward
        self._options = options
        self._receipts = receipts
        self._walk = PolicyWalk(database, records, options)
        self._log_emptied = datetime.min.replace(tzinfo=UTC)

    def run(self, stopping: Callable[[], bool] = lambda: False) -> SweepReport:
        """Do all that is due; ends early, between chunks, when stopping. Raises StorageUnavailable."""
        report = SweepReport()
        report.lapsed = until_done(self._database, agenda.any_lapsed, self._lapse, stopping)
        report.entries = until_done(self._database, agenda.any_expired, self._expire_entries, stopping)
        report.pairs = until_done(self._database, repository.any_token_over, self._expire_pairs, stopping)
        for organisation in self._options.organisations:
            report.looked_at_again += self._come_of_age(organisation, stopping)
            report.looked_at_again += self._walk(organisation, stopping)
        if not stopping():
            report.receipts = self._receipts.match_late().changed.total()
            self._empty_log(report)
        return report

    def _empty_log(self, report: SweepReport) -> None:
        """Let nothing that was shredded since the last time live on in the database's log (SPEC 5.3)."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            shredded = report.pairs > 0 or agenda.any_final_since(connection, self._log_emptied)
        if shredded and self._database.empty_log():
            self._log_emptied = now  # as of before: who was committing meanwhile comes next time

    def _lapse(self, connection: Connection, now: datetime) -> int:
        return outbox.lapse(connection, limit=CHUNK, now=now)

    def _expire_entries(self, connection: Connection, now: datetime) -> int:
        """End entries whose time is over: unsent ones as *expired*, unknown ones given up with nothing to follow."""
        entries = outbox.past_expiry(connection, limit=CHUNK, now=now)
        people = self._onward.lock(connection, entries)
        states = outbox.at_attempts(connection, {entry.id: entry.attempt for entry in entries})
        still = [entry for entry in entries if states.get(entry.id) is entry.state]
        outbox.move(connection, [_expiry(entry) for entry in still], now)
        unsent = [Undelivered(e, EntryState.EXPIRED) for e in still if e.state is EntryState.QUEUED]
        self._onward.go_on(connection, unsent, people, now)
        return len(still)

    def _expire_pairs(self, connection: Connection, now: datetime) -> int:
        """Delete the wraps of pairs whose life is over (SPEC 5.2)."""
        return repository.expire_tokens(connection, limit=CHUNK, now=now)

    def _come_of_age(self, organisation: str, stopping: Callable[[], bool]) -> int:
        """Look at everybody who was under age when last looked at, once a day."""
        looked_at, last = 0, ("", 0)
        while not stopping():
            with self._database.read() as connection:
                today = self._options.today(self._database.now(connection))
                page = repository.under_age_page(connection, organisation, today, last, CHUNK)
            if not page:
                break
            with self._database.begin() as connection:
                self._look_again(connection, [record_id for _, record_id in page], self._database.now(connection))
            last = page[-1]
            looked_at += len(page)
        return looked_at

    def _look_again(self, connection: Connection, ids: list[int], now: datetime) -> None:
        opened = legible(partial(self._records.load, lock=True), connection, ids)
        look_again(connection, [person.record for person in opened.values()], self._options, now)


def _expiry(entry: OutboxEntry) -> Move:
    event = EntryEvent.EXPIRE if entry.state is EntryState.QUEUED else EntryEvent.GIVE_UP
    return Move(entry.id, entry.state, event, "expired")

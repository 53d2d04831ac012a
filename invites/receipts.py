"""Receipts are taken in: what was unknown is settled, what failed goes on to the next channel (SPEC 6).

One transaction for a list of receipts, records locked before entries, here as everywhere. Of each entry the receipts
are held against what was known already, and only a change of what prevails has consequences:

* any receipt says that the provider has the message, so an entry that was not final is *accepted* by it;
* *failed* for good: the contact is bad (:mod:`invites.bad_contacts`), the invitation reached nobody and its pair ends;
* *failed* for now: the invitation reached nobody, its pair lives on, for a telephone may be switched on after all, and
  the channel rests for a day;
* either way the next contact or channel has its turn, if nothing else reached the person or is on its way to them;
* *delivered* after all: what was held against the contact is forgotten, and the invitation counts as one again.

A receipt of an entry that nobody knows waits for a while: it may have overtaken the answer of its own call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct, field
from sqlalchemy import Connection

from invites import bad_contacts, outbox, receipt_rows, repository
from invites.bad_contacts import Failure
from invites.gate import Gate
from invites.invitation import FINAL, EntryEvent, EntryState
from invites.onward import Onward
from invites.outbox import Move, OutboxEntry
from invites.reached import invited_by
from invites.receipt import Receipt, ReceiptState, Said, prevailing
from invites.receipt_rows import ReceiptRow
from patient_records.unit_of_work import Database

SETTLED_BY_RECEIPT: Final = "receipt"
"""Why an entry was accepted whose call had no answer."""

OVERTAKEN: Final = timedelta(hours=1)
"""For how long a receipt that found no entry is tried again: calls last minutes at most."""

KEPT: Final = timedelta(days=7)
"""For how long it is kept after that, for people who look for it."""

_PAGE: Final = 200


class ReceiptReport(Struct):
    """What became of a list: entries by what prevails now where that changed, and receipts that found no entry.

    ``repeated`` counts those that said nothing new, ``settled`` entries that were accepted by theirs, ``bad_contacts``
    contacts that became bad, ``next_invitations`` those that follow for people whom a message did not reach.
    """

    changed: Counter[str] = field(default_factory=Counter)
    unmatched: int = 0
    repeated: int = 0
    settled: int = 0
    bad_contacts: int = 0
    next_invitations: int = 0


class _Change(Struct, frozen=True):
    """An entry whose prevailing receipt is another one now."""

    entry: OutboxEntry
    before: Said | None
    after: Said
    code: str

    @property
    def began_to_fail(self) -> bool:
        """Whether this is the first that we hear of a failure, or the first since a success."""
        return self.after.state is ReceiptState.FAILED and not _failed(self.before)

    @property
    def for_good(self) -> bool:
        """Whether it is known only now that the address is at fault."""
        return self.after.permanent and not (self.before is not None and self.before.permanent)

    @property
    def delivered_after_all(self) -> bool:
        """Whether it was thought to have failed."""
        return self.after.state is ReceiptState.DELIVERED and _failed(self.before)


class Receipts:
    """Takes receipts in. One object serves any number of threads."""

    def __init__(self, database: Database, onward: Onward, gate: Gate) -> None:
        self._database = database
        self._onward = onward
        self._gate = gate

    def take(self, receipts: Sequence[Receipt]) -> ReceiptReport:
        """Take these in, in a transaction of its own. Raises StorageUnavailable or StorageConflict: take them again."""
        if not receipts:
            return ReceiptReport()
        with self._database.begin() as connection:
            return self.take_in(connection, receipts, self._database.now(connection))

    def take_in(self, connection: Connection, receipts: Sequence[Receipt], now: datetime) -> ReceiptReport:
        """Take these in, in the caller's transaction, which has locked nothing yet."""
        report = ReceiptReport()
        found = receipt_rows.find_entries(connection, receipts)
        lost = [receipt for at, receipt in enumerate(receipts) if at not in found]
        receipt_rows.let_wait(connection, lost, now)
        report.unmatched = len(lost)
        if found:
            self._take_found(connection, [(found[at], receipts[at]) for at in sorted(found)], now, report)
        return report

    def match_late(self) -> ReceiptReport:
        """Look again for the entries of receipts that found none; let go of those that waited too long."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            again = receipt_rows.waiting(connection, since=now - OVERTAKEN, limit=_PAGE)
            found = receipt_rows.find_entries(connection, again) if again else {}
            over = receipt_rows.any_waiting(connection, before=now - KEPT)
        report = ReceiptReport()
        if found or over:
            with self._database.begin() as connection:
                now = self._database.now(connection)
                found = receipt_rows.find_entries(connection, again) if again else {}
                receipt_rows.no_longer_waiting(connection, [again[at] for at in found])
                receipt_rows.forget_waiting(connection, before=now - KEPT)
                if found:
                    self._take_found(connection, [(found[at], again[at]) for at in sorted(found)], now, report)
        return report

    def _take_found(
        self, connection: Connection, found: list[tuple[OutboxEntry, Receipt]], now: datetime, report: ReceiptReport
    ) -> None:
        entries = {entry.id: entry for entry, _ in found}
        people = self._onward.lock(connection, entries.values())
        standings = outbox.standings(connection, entries)
        self._settle(connection, found, {id_: state for id_, (state, _) in standings.items()}, now, report)
        for change in (changes := self._write_down(connection, found, now, report)):
            report.changed[change.after.state.value] += 1
        self._contacts(connection, changes, report)
        self._invitations(connection, changes, now)
        ours = [change for change in changes if change.entry.invitation_id is not None]
        failing = [change.entry for change in ours if change.began_to_fail]
        concerned = {c.entry.record_id for c in ours if c.began_to_fail or c.for_good or c.delivered_after_all}
        underway = invited_by(connection, {entry.record_id for entry in failing})
        alone = [entry for entry in failing if not underway.get(entry.record_id)]
        report.next_invitations = self._onward.turn_to_next(connection, alone, concerned, people, now)
        self._gate.note(connection, [(entry.organisation, entry.channel, False) for entry in failing], now)

    def _settle(
        self,
        connection: Connection,
        found: list[tuple[OutboxEntry, Receipt]],
        states: Mapping[int, EntryState],
        now: datetime,
        report: ReceiptReport,
    ) -> None:
        """Accept every entry that was not final: whoever gives a receipt for a message has it."""
        moves = {
            entry.id: Move(
                entry.id,
                states[entry.id],
                EntryEvent.ACCEPT,
                SETTLED_BY_RECEIPT,
                provider_reference=receipt.provider_reference or None,
            )
            for entry, receipt in found
            if states.get(entry.id) is not None and states[entry.id] not in FINAL
        }
        outbox.move(connection, moves.values(), now)
        report.settled = len(moves)

    def _write_down(
        self, connection: Connection, found: list[tuple[OutboxEntry, Receipt]], now: datetime, report: ReceiptReport
    ) -> list[_Change]:
        """Store what is new and which receipt prevails; gives the entries where that changed."""
        entries = {entry.id: entry for entry, _ in found}
        known = receipt_rows.known(connection, entries)
        changes, rows = [], []
        for id_, entry in entries.items():
            before = known.get(id_, [])
            by_kind = {(row.state, row.permanent): row for row in before}
            for receipt in [receipt for about, receipt in found if about.id == id_]:
                kind = (receipt.state, receipt.permanent)
                report.repeated += kind in by_kind
                by_kind[kind] = _heard(by_kind.get(kind), entry, receipt, now)
            after = prevailing(row.said for row in by_kind.values())
            was = prevailing(row.said for row in before)
            settled = [msgspec.structs.replace(row, counts=row.said == after) for row in by_kind.values()]
            rows += settled
            if after is not None and (was is None or was.rank != after.rank):
                changes.append(_Change(entry, was, after, next(row.code for row in settled if row.counts)))
        receipt_rows.put(connection, rows)
        return changes

    def _contacts(self, connection: Connection, changes: list[_Change], report: ReceiptReport) -> None:
        """Hold failures against the contacts that they happened at, and forget them where something arrived."""
        went_to = bad_contacts.destinations_of(connection, [change.entry.id for change in changes])
        told = [change for change in changes if change.entry.id in went_to]
        arrived = [change for change in told if change.after.state is ReceiptState.DELIVERED]
        bad_contacts.forgive(connection, {c.entry.record_id: went_to[c.entry.id] for c in arrived})
        report.bad_contacts = bad_contacts.note_failures(
            connection,
            [
                Failure(
                    record_id=change.entry.record_id,
                    organisation=change.entry.organisation,
                    blind=went_to[change.entry.id],
                    channel=change.entry.channel,
                    at=change.after.at,
                    code=change.code,
                    permanent=change.after.permanent,
                )
                for change in told
                if change.began_to_fail or change.for_good
            ],
        )

    def _invitations(self, connection: Connection, changes: list[_Change], now: datetime) -> None:
        """Say of invitations that they reached nobody, or did after all."""
        for reason, chosen in (
            (repository.BOUNCED, [c.entry for c in changes if c.for_good]),
            (repository.UNREACHED, [c.entry for c in changes if c.began_to_fail and not c.for_good]),
        ):
            ids = [entry.invitation_id for entry in chosen if entry.invitation_id is not None]
            repository.end_undelivered(connection, ids, reason, now)
        for_good = [c.entry.access_token_id for c in changes if c.for_good and c.entry.access_token_id is not None]
        repository.end_tokens(connection, for_good, repository.BOUNCED, now)
        revived = [
            c.entry.invitation_id for c in changes if c.delivered_after_all and c.entry.invitation_id is not None
        ]
        repository.delivered_after_all(connection, revived)


def _failed(said: Said | None) -> bool:
    return said is not None and said.state is ReceiptState.FAILED


def _heard(before: ReceiptRow | None, entry: OutboxEntry, receipt: Receipt, now: datetime) -> ReceiptRow:
    """One kind's row after this receipt: the earliest time counts, so that a repeat moves nothing."""
    if before is None:
        return ReceiptRow(
            entry_id=entry.id,
            state=receipt.state,
            permanent=receipt.permanent,
            organisation=entry.organisation,
            channel=entry.channel,
            at=receipt.at,
            code=receipt.code,
            received_at=now,
            repeats=0,
            counts=False,
        )
    earlier = receipt if receipt.at < before.at else before
    return msgspec.structs.replace(before, at=earlier.at, code=earlier.code, repeats=before.repeats + 1)

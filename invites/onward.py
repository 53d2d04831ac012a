"""What follows when an entry ended and reached nobody: its pair ends, and perhaps the next channel has its turn.

A pair that was certainly never sent is known to nobody, so ending it takes nothing from anybody. Two kinds of ending:

* the channel failed (*refused*, *given up*): the next channel gets a new invitation with a pair of its own, in the same
  transaction, if the person is eligible still and a channel is left that did not fail; if none is, the person is
  *undeliverable*, which ends when one of their channels leads elsewhere, or when one that was given up has rested;
* the time or the person changed (*cancelled*, *expired*): it is as if there had been no invitation, and the person is
  assessed anew; once what stood in the way is gone, the next run invites them.

A receipt that says of an accepted message that it failed is a channel's failure, too (:mod:`invites.receipts`).

An entry given up while its outcome was unknown is neither: somebody may hold that pair, and nothing follows by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites import repository
from invites.bad_contacts import without_bad
from invites.eligibility import Eligible, assess
from invites.enqueue import Draft, Enqueue
from invites.invitation import REMINDER, EntryState, next_channel
from invites.legible import legible
from invites.options import InviteOptions
from invites.outbox import OutboxEntry
from invites.reached import channels_tried
from invites.reassess import reassess
from patient_records.model import Demographics
from patient_records.repository import OpenRecord, Records

_CHANNEL_FAILED: Final = frozenset({EntryState.REFUSED, EntryState.GIVEN_UP})


class Undelivered(Struct, frozen=True):
    """An entry that was moved to a final state and certainly reached nobody."""

    entry: OutboxEntry
    state: EntryState


class Onward:
    """Carries on after undelivered entries, in the transaction that ended them."""

    def __init__(self, records: Records, enqueue: Enqueue, options: InviteOptions) -> None:
        self._records = records
        self._enqueue = enqueue
        self._options = options

    def lock(self, connection: Connection, entries: Iterable[OutboxEntry]) -> dict[int, OpenRecord]:
        """Open and lock the people of these entries: to be done before their entries are locked."""
        return legible(partial(self._records.load, lock=True), connection, {entry.record_id for entry in entries})

    def go_on(
        self,
        connection: Connection,
        ended: Sequence[Undelivered],
        people: Mapping[int, OpenRecord],
        now: datetime,
    ) -> int:
        """Do what follows from these endings; gives how many new invitations were made."""
        for state in {each.state for each in ended}:
            entries = [each.entry for each in ended if each.state is state]
            invitation_ids = [entry.invitation_id for entry in entries if entry.invitation_id is not None]
            repository.end_undelivered(connection, invitation_ids, state.value, now)
            token_ids = [entry.access_token_id for entry in entries if entry.access_token_id is not None]
            repository.end_tokens(connection, token_ids, state.value, now)
        failed = [each.entry for each in ended if each.state in _CHANNEL_FAILED]
        return self.turn_to_next(connection, failed, {each.entry.record_id for each in ended}, people, now)

    def turn_to_next(
        self,
        connection: Connection,
        failed: Collection[OutboxEntry],
        concerned: Collection[int],
        people: Mapping[int, OpenRecord],
        now: datetime,
    ) -> int:
        """Make the next invitation of those whose entry failed and who have another channel; gives how many.

        Everybody else of the ``concerned`` (ids of records) is assessed anew.
        """
        drafts = self._next_drafts(connection, failed, people, now)
        if drafts:
            self._enqueue(connection, drafts, now)
        gone = set(concerned) - {draft.opened.record.id for draft in drafts}
        if gone:
            reassess(connection, [people[id_].record for id_ in sorted(gone) if id_ in people], self._options, now)
        return len(drafts)

    def _next_drafts(
        self,
        connection: Connection,
        failed: Collection[OutboxEntry],
        people: Mapping[int, OpenRecord],
        now: datetime,
    ) -> list[Draft]:
        """Draft the next invitation of each person whose channel failed and who has another."""
        if not failed:
            return []
        ids = {entry.record_id for entry in failed}
        tried, failing = channels_tried(connection, ids), repository.failed_channels(connection, ids, now)
        purposes = repository.purposes_of(connection, [e.invitation_id for e in failed if e.invitation_id is not None])
        numbers = {purpose: repository.highest_numbers(connection, ids, purpose) for purpose in set(purposes.values())}
        good = without_bad(connection, [person.record for person in people.values()], self._options)
        drafts = []
        for entry in failed:
            person, purpose = people.get(entry.record_id), purposes.get(entry.invitation_id or 0)
            if purpose == REMINDER:
                continue  # the next reminder is the next chance
            avoided = tried[entry.record_id] | failing.get(entry.record_id, set())
            channel = (
                self._next_channel(person, avoided, good.get(entry.record_id), now) if person and purpose else None
            )
            if person is not None and purpose is not None and channel is not None:
                drafts.append(Draft(person, channel, purpose, numbers[purpose].get(entry.record_id, 0) + 1))
        return drafts

    def _next_channel(
        self, person: OpenRecord, tried: set[str], good: Demographics | None, now: datetime
    ) -> str | None:
        said = assess(person.record, self._options.policy, self._options.today(now), invited=False, good=good)
        return next_channel(said.channels, tried) if isinstance(said, Eligible) else None

"""Entries of which nobody knows whether they were sent, settled by what their provider can do (SPEC 5.3).

* It *deduplicates* by our reference: the very same request is sent again, under the next attempt number, provided that
  the person may still be invited and the pair still lives. If not, the entry is given up as it is. Only *accepted*
  settles it. *Not sent* and *refused* are true of the repeat alone: the first attempt may have arrived all the same, so
  the entry stays unknown, its pair lives on, and no second pair is made for somebody who may have the first.
* It can be *searched*: it is asked, and what it says is finished like any answer. *Not sent* is believed here, because
  the question is about the reference. All attempts of an entry carry the same one, and none is under way any more: an
  entry is unknown once its answer was lost or its lease lapsed, and a lease outlives every call. So "no such reference"
  speaks of all attempts, where the answer to a repeat speaks of one.
* *Neither*: the entry is never sent again. It keeps its state, is due never, and is listed for a person.

The same goes for what was tried for as long as ``give_up_after``, and for an entry of a provider that is no longer the
lane's: only the one that may have it can settle it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from invites import outbox
from invites.channels.channel import NotSent, Outcome, Refused, Request, Settlement, Unknown
from invites.finish import Finish
from invites.invitation import EntryEvent, EntryState
from invites.options import InviteOptions, Lane
from invites.outbox import REQUEST, Move, OutboxEntry, Start
from invites.prepare import Cleared, Dropped, Prepare, decode_request
from invites.senders import NOT_BEGUN, Call, Senders
from patient_records.repository import OpenRecord
from patient_records.unit_of_work import Database


class Settle:
    """Settles the unknown entries of one lane."""

    def __init__(
        self,
        database: Database,
        lane: Lane,
        options: InviteOptions,
        *,
        prepare: Prepare,
        senders: Senders,
        finish: Finish,
    ) -> None:
        self._database = database
        self._lane = lane
        self._options = options
        self._prepare = prepare
        self._senders = senders
        self._finish = finish

    def __call__(self, may_begin: Callable[[], bool]) -> int:
        """Settle a batch of what is due; gives how many entries were looked at. Raises StorageUnavailable."""
        with self._database.begin() as connection:
            entries = outbox.claim_unknown(
                connection,
                self._lane.channel.kind,
                lease=self._options.lease,
                limit=self._options.claim_batch,
                now=self._database.now(connection),
            )
        mine = [entry for entry in entries if entry.provider == self._lane.provider.name]
        settlement = self._lane.provider.settlement
        if settlement is Settlement.SEARCHABLE:
            self._search(mine, may_begin)
        elif settlement is Settlement.DEDUPLICATES:
            self._send_again(mine, may_begin)
        settled = set() if settlement is Settlement.NEITHER else {entry.id for entry in mine}
        self._list_for_a_person([entry.id for entry in entries if entry.id not in settled])
        return len(entries)

    def _list_for_a_person(self, entry_ids: list[int]) -> None:
        if entry_ids:
            with self._database.begin() as connection:
                outbox.wait_until(connection, dict.fromkeys(entry_ids))

    def _search(self, entries: list[OutboxEntry], may_begin: Callable[[], bool]) -> None:
        """Ask for each entry whether it arrived. *Not sent* may be believed here, so such an entry is queued again."""
        search = self._lane.provider.search
        calls = [Call(entry, entry.attempt, partial(search, entry.reference)) for entry in entries]
        for group in self._senders.answers(calls, may_begin=may_begin, otherwise=Unknown(NOT_BEGUN)):
            self._finish(group)

    def _send_again(self, entries: list[OutboxEntry], may_begin: Callable[[], bool]) -> None:
        """Send the same requests again, under the next attempt number; only *accepted* tells anything new."""
        checked = self._prepare.recheck(entries)
        self._give_up([said for said in checked if isinstance(said, Dropped)])
        people = {said.entry.id: said.person for said in checked if isinstance(said, Cleared)}
        begun = self._mark([said.entry for said in checked if isinstance(said, Cleared)])
        calls = [Call(entry, entry.attempt + 1, self._resending(entry, people[entry.id])) for entry in begun]
        for group in self._senders.answers(calls, may_begin=may_begin, otherwise=Unknown(NOT_BEGUN)):
            self._finish(group)

    def _resending(self, entry: OutboxEntry, person: OpenRecord) -> Callable[[], Outcome]:
        request = decode_request(person.key.open(entry.sealed_request or b"", REQUEST, entry.id))
        return partial(_repeated, self._lane.provider.send, request)

    def _mark(self, entries: list[OutboxEntry]) -> list[OutboxEntry]:
        """Commit that these are being sent again; gives those that nobody settled meanwhile."""
        if not entries:
            return []
        with self._database.begin() as connection:
            states = outbox.at_attempts(connection, {entry.id: entry.attempt for entry in entries})
            begun = [entry for entry in entries if states.get(entry.id) is EntryState.UNKNOWN]
            starts = [Start(entry, self._lane.provider.name, entry.sealed_request or b"") for entry in begun]
            outbox.start(connection, starts, lease=self._options.lease, now=self._database.now(connection))
        return begun

    def _give_up(self, dropped: list[Dropped]) -> None:
        """End what must not be sent again. One that only cannot be prepared just now is due again by itself."""
        over = [drop for drop in dropped if drop.event is not EntryEvent.RELEASE]
        if not over:
            return
        with self._database.begin() as connection:
            states = outbox.at_attempts(connection, {drop.entry.id: drop.entry.attempt for drop in over})
            moves = [
                Move(drop.entry.id, EntryState.UNKNOWN, EntryEvent.GIVE_UP, drop.code)
                for drop in over
                if states.get(drop.entry.id) is EntryState.UNKNOWN
            ]
            outbox.move(connection, moves, self._database.now(connection))


def _repeated(send: Callable[[Request], Outcome], request: Request) -> Outcome:
    """Send what may have been sent before. That this repeat failed is no news of the first."""
    outcome = send(request)
    return Unknown(outcome.code) if isinstance(outcome, NotSent | Refused) else outcome

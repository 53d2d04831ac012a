"""Entries of which nobody knows whether they were sent, settled by what their provider can do (SPEC 5.3).

* It *deduplicates* by our reference: the very same request is sent again, under the next attempt number, provided that
  the person may still be invited and the pair still lives. If not, the entry is given up as it is; and if it would go
  to another address now, a person has to decide, for the old one may be a stranger's. Only *accepted* settles it. *Not
  sent* and *refused* are true of the repeat alone: the first attempt may have arrived all the same, so the entry stays
  unknown, its pair lives on, and no second pair is made for somebody who may have the first.
* It can be *searched*: it is asked, and what it says is finished like any answer. *Not sent* is believed here, once it
  was said twice (:mod:`invites.absence`), because the question is about the reference. All attempts of an entry carry
  the same one, and none is under way any more: an entry is unknown once its answer was lost or its lease lapsed, and a
  lease outlives every call. So "no such reference" speaks of all attempts, where the answer to a repeat speaks of one.
* *Neither*: the entry is never sent again. It keeps its state, is due never, and is listed for a person.

The same goes for what was first tried longer ago than ``give_up_after`` and one more wait, for an entry of a provider
that is no longer the lane's (only the one that may have it can settle it), and for one whose kept request does not
open. That is found out before anything is marked, so that one broken entry holds up no other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from msgspec import MsgspecError, Struct

from invites import outbox
from invites.absence import Absences
from invites.agenda import NOBODY
from invites.answers_kept import AnswersKept
from invites.channels.channel import NotSent, Outcome, Refused, Request, Settlement, Unknown
from invites.eligibility import Reason
from invites.gate import Gate
from invites.invitation import EntryEvent, EntryState
from invites.last_look import LastLook
from invites.left_alone import LeftAlone
from invites.options import InviteOptions, Lane
from invites.outbox import REQUEST, Move, OutboxEntry, Start
from invites.prepare import Cleared, Dropped, Prepare, decode_request
from invites.recipient import reachable
from invites.record_versions import locked_versions
from invites.senders import Call, Senders
from invites.throttle import Throttle
from patient_records.errors import KeyFault, SealBroken
from patient_records.model import Masked
from patient_records.unit_of_work import Database

DOES_NOT_OPEN: Final = "request_does_not_open"
"""The kept request cannot be read (a lost key, a damaged page), so nobody can send the same again."""

NEW_ADDRESS: Final = "new_address"
"""The message would go somewhere else today than it went, or nowhere."""


class _Repeat(Masked, Struct, frozen=True):
    """A request that may be sent once more, just as it was, and the version of the record that allows it."""

    entry: OutboxEntry
    version: int
    request: Request


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
        answers: AnswersKept,
        last_look: Callable[[Mapping[int, int], float], LastLook],
        left_alone: LeftAlone,
        throttle: Throttle,
        elapsed: Callable[[], float],
    ) -> None:
        self._database = database
        self._lane = lane
        self._options = options
        self._prepare = prepare
        self._senders = senders
        self._answers = answers
        self._last_look = last_look
        self._left_alone = left_alone
        self._few = False  # the last batch earned a silence: another is tried with few, whatever new ones were answered
        self._elapsed = elapsed
        self._gate = Gate(options)
        self._throttle = throttle
        self._absences = Absences(lane.provider.settle_after, elapsed)

    def __call__(self, may_begin: Callable[[], bool]) -> int:
        """Settle a batch of what is due; gives how many entries were looked at. Raises StorageUnavailable."""
        entries = self._claim()
        fresh = self._remembered(entries)
        mine = [e for e in entries if e.provider == self._lane.provider.name and e.id in fresh]
        settlement = self._lane.provider.settlement
        if settlement is Settlement.SEARCHABLE:
            self._search(mine, may_begin)
        elif settlement is Settlement.DEDUPLICATES:
            self._send_again(mine, may_begin)
        settled = set() if settlement is Settlement.NEITHER else {entry.id for entry in mine}
        self._list_for_a_person([entry.id for entry in entries if entry.id not in settled])
        self._few = bool(self._left_alone.left)
        self._answers.catch_up()
        return len(entries)

    def _remembered(self, entries: list[OutboxEntry]) -> set[int]:
        """Which of these were first tried so lately that a provider still knows of them.

        Settling may have stood still for days, by a pause or a daemon that was off. By then a supplier has forgotten
        the key by which it knew a repeat, and a search finds nothing of what was delivered: neither is to be believed.
        """
        if not entries:
            return set()
        with self._database.read() as connection:
            now = self._database.now(connection)
            tries = outbox.tries(connection, [entry.id for entry in entries])
        longest = self._options.retry.give_up_after + self._options.retry.longest_wait
        return {entry_id for entry_id, tried in tries.items() if now - tried.since <= longest}

    def _claim(self) -> list[OutboxEntry]:
        """Take a batch; a look without a writer finds out first whether there is one.

        Hours and pauses bar repeats alone: a question sends nothing, and an answer is to be had for some days only.
        """
        channel = self._lane.channel.kind
        with self._database.read() as connection:
            now = self._database.now(connection)
            repeats = self._lane.provider.settlement is Settlement.DEDUPLICATES
            barred = self._gate.barred(connection, channel, now) if repeats else NOBODY
            due = outbox.anything_to_settle(connection, channel, now, barred)
            if not due or self._throttle.wait(connection, now):
                return []
        with self._database.begin() as connection:
            now = self._database.now(connection)
            wary = self._few or self._left_alone.wary
            wanted = self._options.senders if wary else self._options.claim_batch
            most = self._throttle.allowance(connection, wanted, now)
            if not most:
                return []
            lease = self._options.lease
            entries = outbox.claim_unknown(connection, channel, lease=lease, limit=most, now=now, barred=barred)
            self._throttle.take(connection, len(entries), now)
        return entries

    def _list_for_a_person(self, entry_ids: list[int]) -> None:
        if entry_ids:
            with self._database.begin() as connection:
                outbox.wait_until(connection, dict.fromkeys(entry_ids))

    def _search(self, entries: list[OutboxEntry], may_begin: Callable[[], bool]) -> None:
        """Ask for each entry whether it arrived. *Not sent* is believed the second time: the entry is queued again."""
        search, call = self._lane.provider.search, self._left_alone.call
        calls = [Call(entry, entry.attempt, partial(call, partial(search, entry.reference))) for entry in entries]
        for group in self._senders.answers(calls, may_begin=may_begin):
            self._answers.add([self._absences.judged(answer) for answer in group])

    def _send_again(self, entries: list[OutboxEntry], may_begin: Callable[[], bool]) -> None:
        """Send the same requests again, under the next attempt number; only *accepted* tells anything new."""
        checked = self._prepare.recheck(entries)
        dropped = [said for said in checked if isinstance(said, Dropped)]
        nowhere = {drop.entry.id: NEW_ADDRESS for drop in dropped if drop.code == Reason.NO_CONTACT}
        self._give_up([drop for drop in dropped if drop.entry.id not in nowhere])
        repeats, codes = _repeats([said for said in checked if isinstance(said, Cleared)])
        self._leave_to_a_person(codes | nowhere)
        marked_at = self._elapsed()
        begun = self._mark(repeats)
        look = self._last_look({each.entry.id: each.version for each in begun}, marked_at)
        send, call = self._lane.provider.send, self._left_alone.call
        calls = [
            Call(
                each.entry,
                each.entry.attempt + 1,
                partial(_repeated, partial(call, partial(send, each.request))),
                look.before(each.entry),
            )
            for each in begun
        ]
        for group in self._senders.answers(calls, may_begin=may_begin):
            self._answers.add(group)

    def _leave_to_a_person(self, codes: dict[int, str]) -> None:
        if codes:
            with self._database.begin() as connection:
                outbox.leave_to_a_person(connection, codes)

    def _mark(self, repeats: list[_Repeat]) -> list[_Repeat]:
        """Commit that these are being sent again; gives those that nobody settled meanwhile.

        Records are locked before entries. One that changed since it was looked at is looked at again at once.
        """
        if not repeats:
            return []
        with self._database.begin() as connection:
            now = self._database.now(connection)
            versions = locked_versions(connection, [each.entry.record_id for each in repeats])
            states = outbox.at_attempts(connection, {each.entry.id: each.entry.attempt for each in repeats})
            unknown = [each for each in repeats if states.get(each.entry.id) is EntryState.UNKNOWN]
            begun = [each for each in unknown if versions.get(each.entry.record_id) == each.version]
            outbox.wait_until(connection, {each.entry.id: now for each in unknown if each not in begun})
            starts = [Start(e.entry, self._lane.provider.name, e.entry.sealed_request or b"") for e in begun]
            outbox.start(connection, starts, lease=self._options.lease, now=now)
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


def _repeats(cleared: list[Cleared]) -> tuple[list[_Repeat], dict[int, str]]:
    """Open the requests as they were sent; gives beside them why each of the others is left to a person."""
    repeats, codes = [], {}
    for said in cleared:
        try:
            request = _kept_request(said)
            elsewhere = _goes_elsewhere(request, said)
        except (SealBroken, KeyFault, MsgspecError):
            codes[said.entry.id] = DOES_NOT_OPEN
            continue
        if elsewhere:
            codes[said.entry.id] = NEW_ADDRESS
        else:
            repeats.append(_Repeat(said.entry, said.person.record.version, request))
    return repeats, codes


def _kept_request(said: Cleared) -> Request:
    return decode_request(said.person.key.open(said.entry.sealed_request or b"", REQUEST, said.entry.id))


def _goes_elsewhere(request: Request, said: Cleared) -> bool:
    recipient = reachable(said.person.record.demographics, request.channel, said.content().to)
    return recipient is None or recipient.to != request.to


def _repeated(send: Callable[[], Outcome]) -> Outcome:
    """Send what may have been sent before. That this repeat failed is no news of the first."""
    outcome = send()
    return Unknown(outcome.code) if isinstance(outcome, NotSent | Refused) else outcome

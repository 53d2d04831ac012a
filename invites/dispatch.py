"""One lane: the entries of one channel, from the outbox to its provider and back (SPEC 5.3).

The way of a batch, and where it may break off:

1. *claim* commits a lease. Dying after it: the lease lapses, the entries are free again.
2. *prepare* re-checks and renders, outside any transaction. Dying here: the same.
3. *mark* commits ``sending``, the attempt number and the sealed request. Dying after it: nobody knows, ``unknown``.
4. *send* calls the provider from a few threads, with no transaction open, each after a :mod:`~invites.last_look`.
5. *finish* commits what came of it, behind the fence of the attempt number.

Each lane has its own thread and its own senders, so a provider that hangs holds up nothing but its own channel. A call
is only begun while the lease that covers it has at least half of its time left; what is not begun by then, or when the
daemon stops, was certainly not sent: its entry is due again at once, and no attempt is counted.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from msgspec import Struct, field
from sqlalchemy import Connection

from invites import outbox
from invites.answers_kept import AnswersKept
from invites.bad_contacts import destination
from invites.channels.channel import OUTCOME_NAMES, HandedOver
from invites.finish import Answer, Finish, NotBegun
from invites.gate import Gate
from invites.invitation import FINAL, EntryEvent, EntryState, after
from invites.last_look import LastLook
from invites.left_alone import LeftAlone
from invites.onward import Onward, Undelivered
from invites.options import InviteOptions, Lane
from invites.outbox import NOT_BEGUN, Move, OutboxEntry, Start
from invites.pauses import Brake
from invites.prepare import Dropped, Prepare, Ready
from invites.record_versions import locked_versions
from invites.senders import Call, Senders
from invites.settle import Settle
from invites.throttle import Throttle
from patient_records.ids import IdSource
from patient_records.repository import Records
from patient_records.unit_of_work import Database

CLOSING: Final = 1.0
"""Seconds for which a closing lane waits for its provider: the schedule's deadline for calls in hand is over then."""

LONGEST_SETTLING: Final = timedelta(minutes=1)
"""For how long batches of unknown entries are begun before new messages have their turn."""

LONGEST_REST: Final = timedelta(seconds=2)
"""How long a lane itself waits for its provider's limit."""

_LOOK: Final = 0.05
"""Seconds between two looks whether the daemon stops, while a lane waits."""

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def awake_or_asleep() -> float:
    """Seconds of a clock that also runs while the machine is suspended, where there is one: leases run out then, too.

    Source: clock_gettime(2), CLOCK_BOOTTIME.
    """
    return time.clock_gettime(_CLOCK)


class DispatchReport(Struct):
    """What one run of a lane did: outcomes by name, entries dropped by the re-check, unknown ones settled, a batch."""

    outcomes: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    settled: int = 0
    handed_over: HandedOver | None = None

    def count(self, answers: Iterable[Answer]) -> None:
        """Count what calls came to; one that was never made is a dropped entry and no outcome."""
        for answer in answers:
            if isinstance(answer.outcome, NotBegun):
                self.dropped[NOT_BEGUN] += 1
            else:
                self.outcomes[OUTCOME_NAMES[type(answer.outcome)]] += 1


class Dispatch:
    """One lane. To be run by one thread at a time; :meth:`close` ends its senders."""

    def __init__(
        self,
        database: Database,
        records: Records,
        lane: Lane,
        options: InviteOptions,
        *,
        onward: Onward,
        finish: Finish,
        ids: IdSource,
        elapsed: Callable[[], float] = awake_or_asleep,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._database = database
        self._lane = lane
        self._options = options
        self._onward = onward
        self._ids = ids
        self._elapsed = elapsed
        self._held_back = False
        self._new_ones_first = False
        self._gate = Gate(options)
        self._last_look = partial(LastLook, database, Brake(database, elapsed), elapsed)
        self._prepare = Prepare(database, records, lane, options)
        self._senders = Senders(lane.channel.kind, options.senders)
        self._answers = AnswersKept(finish)
        self._throttle = Throttle(lane.channel.kind, lane.limits)
        self._throttled = timedelta(0)
        self._left_alone = LeftAlone(elapsed)
        self._pause = pause
        self._settle = Settle(
            database,
            lane,
            options,
            prepare=self._prepare,
            senders=self._senders,
            answers=self._answers,
            last_look=self._last_look,
            left_alone=self._left_alone,
            throttle=self._throttle,
            elapsed=elapsed,
        )

    def _time_to_render(self) -> Callable[[], bool]:
        """Whether another message may still be rendered: what is ready after a quarter of the lease can still begin."""
        until = self._elapsed() + self._options.lease.total_seconds() / 4
        return lambda: self._elapsed() < until

    def run(self, stopping: Callable[[], bool] = lambda: False) -> DispatchReport:
        """Settle what is unknown and send what is due; ends early, between batches, when stopping.

        What a provider said and could not be written down in an earlier run is written first. A provider that wants to
        be left alone is asked nothing. Raises StorageUnavailable or StorageConflict; what was claimed by then is free
        again once its lease lapses.
        """
        report = DispatchReport()
        self._answers.catch_up()

        def ending() -> bool:
            return stopping() or self._senders.closing

        if self._left_alone.left:
            return report
        steps = [self._settle_due, self._send_due]
        if self._new_ones_first:
            steps.reverse()
        self._new_ones_first = False
        for step in steps:
            step(report, ending)
        if not ending():
            report.handed_over = self._lane.round_off()
        return report

    def _settle_due(self, report: DispatchReport, ending: Callable[[], bool]) -> None:
        """Settle what is due, for a while. If that earned a silence, the next run begins with the new ones.

        Unknown entries must not keep everybody else from being sent to: not where a provider wants to be left alone
        about repeats only, nor where there are so many that the first is due again before the last was asked about.
        """
        if self._left_alone.left:
            return
        until = self._elapsed() + LONGEST_SETTLING.total_seconds()
        try:
            while not (ending() or self._left_alone.left or self._elapsed() > until):
                looked_at = self._settle(self._may_begin(ending))
                report.settled += looked_at
                if not looked_at:
                    break
        finally:
            self._new_ones_first = bool(self._left_alone.left)

    def _send_due(self, report: DispatchReport, ending: Callable[[], bool]) -> None:
        """Send all that is due, a batch at a time."""
        while not ending() and (self._batch(report, ending) or self._rested(ending)):
            pass

    def close(self, deadline: float = CLOSING) -> bool:
        """Wait at most ``deadline`` seconds for the calls that are under way; gives whether all ended."""
        return self._senders.close(deadline)

    def _batch(self, report: DispatchReport, stopping: Callable[[], bool]) -> bool:
        """Take one batch all the way; gives whether there may be another: not where all of this one was held back."""
        self._held_back = False
        may_begin, owner = self._may_begin(stopping), self._ids.opaque()
        entries = self._claim(owner)
        prepared = self._prepare(entries, self._time_to_render()) if entries and not stopping() else []
        dropped = [said for said in prepared if isinstance(said, Dropped)]
        ready = [said for said in prepared if isinstance(said, Ready)]
        if stopping():
            ready, dropped = [], [_given_back(entry) for entry in entries]
        report.dropped.update(drop.code for drop in dropped)
        marked_at = self._elapsed()
        begun = self._mark(owner, ready, dropped)
        look = self._last_look({each.entry.id: each.version for each in begun}, marked_at)
        send, call = self._lane.provider.send, self._left_alone.call
        calls = [
            Call(
                each.entry, each.entry.attempt + 1, partial(call, partial(send, each.request)), look.before(each.entry)
            )
            for each in begun
        ]
        for group in self._senders.answers(calls, may_begin=may_begin):
            self._answers.add(group)
            report.count(group)
        self._answers.catch_up()
        return bool(entries) and (bool(calls) or not self._held_back)

    def _rested(self, stopping: Callable[[], bool]) -> bool:
        """Wait for a provider's limit where that is a matter of moments; gives whether there is more to do then.

        A longer wait is left to the clock, which comes again.
        """
        if not self._throttled or self._throttled > LONGEST_REST:
            return False
        until = time.monotonic() + self._throttled.total_seconds()
        while not stopping() and (rest := until - time.monotonic()) > 0:
            self._pause(min(rest, _LOOK))
        return not stopping()

    def _may_begin(self, stopping: Callable[[], bool]) -> Callable[[], bool]:
        """Whether a call may still begin: half of the lease must be left to it, counted from before the claim.

        Nor does one begin while answers cannot be written down: then theirs could not be either; nor while the provider
        wants to be left alone.
        """
        until = self._elapsed() + self._options.lease.total_seconds() / 2

        def may() -> bool:
            in_time = self._elapsed() < until and not self._left_alone.left
            return in_time and not stopping() and self._answers.in_step

        return may

    def _claim(self, owner: str) -> list[OutboxEntry]:
        """Claim a batch; a look without a writer finds out first whether there is one."""
        channel, self._throttled = self._lane.channel.kind, self._left_alone.left
        if self._throttled:
            return []
        with self._database.read() as connection:
            now = self._database.now(connection)
            barred = self._gate.barred(connection, channel, now)
            if not outbox.anything_due(connection, channel, now, barred):
                return []
            self._throttled = self._throttle.wait(connection, now)
        if self._throttled:
            return []
        with self._database.begin() as connection:
            now = self._database.now(connection)
            wanted = self._options.senders if self._left_alone.wary else self._options.claim_batch
            most = self._throttle.allowance(connection, wanted, now)
            if not most:  # another daemon was quicker
                self._throttled = timedelta(seconds=_LOOK)
                return []
            lease = self._options.lease
            entries = outbox.claim(connection, channel, owner, lease=lease, limit=most, now=now, barred=barred)
            self._throttle.take(connection, len(entries), now)
        return entries

    def _open(self, connection: Connection, mine: list[Ready], now: datetime) -> list[Ready]:
        """Those that may go out now: hours and pauses asked again, and a place of the day's cap taken for each."""
        barred = self._gate.barred(connection, self._lane.channel.kind, now)
        free = [e for e in mine if not barred.stops(e.entry.organisation, invitation=e.entry.invitation_id is not None)]
        admitted = self._gate.take(connection, [each.entry for each in free], now)
        self._held_back = len(admitted) < len(mine)
        return [each for each in free if each.entry.id in admitted]

    def _mark(self, owner: str, ready: list[Ready], dropped: list[Dropped]) -> list[Ready]:
        """Commit that the ready ones are being sent and what befell the dropped ones; gives those to be sent.

        Records are locked before entries, here as everywhere. An entry whose lease was lost or whose record changed
        since it was rendered is not sent: the first is somebody else's now, the second is queued again.
        """
        entries: list[Ready | Dropped] = [*ready, *dropped]
        if not entries:
            return []
        with self._database.begin() as connection:
            versions = locked_versions(connection, [said.entry.record_id for said in entries])
            people = self._onward.lock(connection, [drop.entry for drop in dropped if drop.rest is None])
            held = outbox.still_claimed(connection, owner, [said.entry.id for said in entries])
            now = self._database.now(connection)
            mine = [each for each in ready if each.entry.id in held]
            fresh = [each for each in mine if versions.get(each.entry.record_id) == each.version]
            fresh = self._open(connection, fresh, now)
            going = {each.entry.id for each in fresh}
            stale = [_given_back(each.entry) for each in mine if each.entry.id not in going]
            starts = [self._start(each) for each in fresh]
            outbox.start(connection, starts, lease=self._options.lease, now=now)
            drops = [drop for drop in dropped if drop.entry.id in held] + stale
            outbox.move(connection, [_move(drop, now) for drop in drops], now)
            ended = [Undelivered(drop.entry, after(EntryState.CLAIMED, drop.event)) for drop in drops]
            self._onward.go_on(connection, [each for each in ended if each.state in FINAL], people, now)
        return fresh

    def _start(self, each: Ready) -> Start:
        went_to = destination(self._options, each.request.channel, each.request.to)
        return Start(each.entry, self._lane.provider.name, each.sealed_request, went_to)


def _given_back(entry: OutboxEntry) -> Dropped:
    """Give an entry back to the queue, due at once."""
    return Dropped(entry, EntryEvent.RELEASE, "given_back", timedelta(0))


def _move(drop: Dropped, now: datetime) -> Move:
    due_at = now + drop.rest if drop.rest is not None else None
    return Move(drop.entry.id, EntryState.CLAIMED, drop.event, drop.code, due_at)

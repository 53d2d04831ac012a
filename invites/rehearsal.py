"""The next days of an organisation, gone through as the daemon would, with counts alone (SPEC 1 and 5.4, the dry run).

It goes from moment to moment: midnight, when a channel opens, when a letter is handed over, when a reminder falls due
or is too late. At each it sends what is in the outbox, lets invitations and reminders take turns at what caps, hours,
pauses and the canary leave, as their two jobs do, and notes what reminders follow. A walk whose first reminder finds no
place waits with all behind it, as the real one does. What is sent counts as accepted at once.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

import msgspec

from invites.allowance import ALL, Allowance, allowance_of
from invites.forecast import DAYS, Ahead, Backlog, DayPlan, Due, InOutbox, Invitee, Plan, Standing
from invites.rhythm import LATE, Rhythm

HandedOver = Callable[[str, datetime], datetime]
"""Says when a message of a channel that is issued at a moment is due (UTC)."""

_NEXT: Final = timedelta(microseconds=1)
_TURN: Final = 100  # as many as the jobs put into one transaction


def spread(
    organisation: str,
    backlog: Backlog,
    rhythm: Rhythm,
    standing: Standing,
    local_now: datetime,
    *,
    handed_over: HandedOver = lambda _channel, now: now,
) -> Plan:
    """Give the next days of an organisation; ``local_now`` has its zone."""
    return _Rehearsal(backlog, rhythm, standing, local_now, handed_over).run(organisation)


def end_of(local_now: datetime) -> datetime:
    """When the last of the next days is over, in UTC."""
    return _midnight(local_now.date() + timedelta(days=DAYS), local_now.tzinfo or UTC)


class _Walk:
    """The reminders of one number in the order of their time: those of old invitations, then of foreseen ones."""

    def __init__(self, ahead: Ahead) -> None:
        self.reminder = ahead.reminder
        self._dues = ahead.dues
        self._foreseen: deque[Due] = deque()
        self.head = self._next()

    def follow(self, due: Due) -> None:
        """Add what follows an invitation that is accepted now, later than all others."""
        self._foreseen.append(due)
        if self.head is None:
            self.head = self._next()

    def take(self, count: int) -> None:
        """Take so many of the first away."""
        if self.head is not None and count < self.head.count:
            self.head = msgspec.structs.replace(self.head, count=self.head.count - count)
        else:
            self.head = self._next()

    def _next(self) -> Due | None:
        return next(self._dues, None) or (self._foreseen.popleft() if self._foreseen else None)


class _Rehearsal:
    def __init__(
        self, backlog: Backlog, rhythm: Rhythm, standing: Standing, local_now: datetime, handed_over: HandedOver
    ) -> None:
        self._rhythm = rhythm
        self._zone = local_now.tzinfo or UTC
        self._now = local_now.astimezone(UTC)
        self._day = local_now.date()
        self._end = end_of(local_now)
        self._standing = standing
        self._begun = Counter(standing.begun)
        self._canary = standing.canary_left
        self._waiting: dict[str, Counter[Invitee]] = {name: Counter() for name in standing.channels}
        for invitee, count in backlog.waiting.items():
            self._waiting[invitee.channel][invitee] += count
        self._outbox = Counter(backlog.outbox)
        self._walks = [_Walk(ahead) for ahead in backlog.ahead]
        self._handed_over = handed_over
        self._opens: dict[str, datetime] = {}
        self._invited: dict[date, Counter[str]] = {}
        self._reminded: dict[date, Counter[str]] = {}
        self._plan = Plan()

    def run(self, organisation: str) -> Plan:
        while self._now < self._end:
            self._send()
            while self._issue() + self._remind():
                self._send()
            self._go_on()
        self._count_the_rest()
        self._plan.days = _days(organisation, self._invited)
        self._plan.reminder_days = _days(organisation, self._reminded)
        return self._plan

    def _send(self) -> None:
        """Send what is due and finds a place of today."""
        due = sorted((each for each in self._outbox if each.due <= self._now), key=lambda each: each.due)
        if not due:
            return
        allowance = self._allowance(self._begun)
        for each in due:
            channel = each.invitee.channel
            count = allowance.take_up_to(channel, self._outbox[each])
            if count:
                _less(self._outbox, each, count)
                self._begun.update({channel: count, ALL: count})
                self._note_sent(each, count)

    def _note_sent(self, sent: InOutbox, count: int) -> None:
        if sent.foreseen:
            days = self._invited if sent.first else self._reminded
            days.setdefault(self._day, Counter())[sent.invitee.channel] += count
        if sent.first:
            for walk, channel in zip(self._walks, sent.invitee.reminders, strict=False):
                if channel is not None:
                    walk.follow(Due(self._now + walk.reminder.after, channel, sent.invitee.language, count))

    def _issue(self) -> int:
        """Invite a turn of those who wait; of each channel all kinds of people alike. Gives how many."""
        if not any(self._waiting.values()):
            return 0
        allowance = self._allowance(self._taken())
        allowance.limit(self._canary)
        allowance.limit(_TURN)
        for channel, people in self._waiting.items():
            for invitee, count in _share(people, allowance.take_up_to(channel, people.total())):
                _less(people, invitee, count)
                self._outbox[InOutbox(self._handed_over(channel, self._now), invitee, foreseen=True)] += count
        if self._canary is not None:
            self._canary -= allowance.taken
        return allowance.taken

    def _remind(self) -> int:
        """Write a turn of the reminders that are due; gives how many."""
        if not any(walk.head is not None and walk.head.at <= self._now for walk in self._walks):
            return 0
        allowance = self._allowance(self._taken())
        allowance.limit(_TURN)
        for walk in self._walks:
            while (head := walk.head) is not None and head.at <= self._now:
                if head.at + LATE < self._now:
                    self._plan.too_late += head.count
                    walk.take(head.count)
                    continue
                count = allowance.take_up_to(head.channel, head.count)
                if count:
                    self._write(head, count)
                    walk.take(count)
                if count < head.count:
                    break
        return allowance.taken

    def _write(self, due: Due, count: int) -> None:
        self._plan.reminders[due.channel, due.language] += count
        at = self._handed_over(due.channel, self._now)
        self._outbox[InOutbox(at, Invitee(due.channel, due.language), first=False, foreseen=True)] += count

    def _allowance(self, taken: Mapping[str, int]) -> Allowance:
        local = self._now.astimezone(self._zone)
        closed = {name for name in self._standing.channels if self._rhythm.hours.closed(name, local) is not None}
        return allowance_of(self._rhythm, self._standing.channels, taken, closed.union(self._standing.paused))

    def _taken(self) -> Counter[str]:
        """What has a place: what was begun today, and what waits in the outbox."""
        taken = self._begun.copy()
        for each, count in self._outbox.items():
            taken.update({each.invitee.channel: count, ALL: count})
        return taken

    def _go_on(self) -> None:
        """Go to the next moment at which anything can change."""
        moments = [_midnight(self._day + timedelta(days=1), self._zone), *(each.due for each in self._outbox)]
        for head in (walk.head for walk in self._walks if walk.head is not None):
            moments += [head.at, head.at + LATE + _NEXT]
        moments += [opens for name in self._standing.channels if (opens := self._next_opening(name)) is not None]
        self._now = min(moment for moment in moments if moment > self._now)
        day = self._now.astimezone(self._zone).date()
        if day != self._day:
            self._day = day
            self._begun.clear()

    def _next_opening(self, channel: str) -> datetime | None:
        """When a channel that is closed opens."""
        known = self._opens.get(channel)
        if known is None or known <= self._now:
            known = self._rhythm.hours.opens(channel, self._now, self._zone) or self._end
            self._opens[channel] = known
        return known

    def _count_the_rest(self) -> None:
        """Count those who found no place, and those who wait for what is handed over later."""
        for channel, people in self._waiting.items():
            self._plan.later[channel] += people.total()
        for each, count in self._outbox.items():
            if each.foreseen:
                (self._plan.later if each.first else self._plan.reminders_later)[each.invitee.channel] += count
        for walk in self._walks:
            while (head := walk.head) is not None and head.at < self._end:
                self._plan.reminders[head.channel, head.language] += head.count
                self._plan.reminders_later[head.channel] += head.count
                walk.take(head.count)
        self._plan.later, self._plan.reminders_later = +self._plan.later, +self._plan.reminders_later


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _share(people: Mapping[Invitee, int], wanted: int) -> Iterator[tuple[Invitee, int]]:
    """Give so many of these people, of each kind its part."""
    total, seen, given = sum(people.values()), 0, 0
    for invitee, count in list(people.items()):
        seen += count
        upto = seen * wanted // total
        if upto > given:
            yield invitee, upto - given
        given = upto


def _less(counts: Counter[Any], key: object, count: int) -> None:
    """Take so many away, and the key with the last."""
    counts[key] -= count
    if not counts[key]:
        del counts[key]


def _days(organisation: str, by_day: Mapping[date, Mapping[str, int]]) -> list[DayPlan]:
    return [DayPlan(organisation, day, dict(counts)) for day, counts in sorted(by_day.items())]

"""What may go out now, and how many: hours, pauses and caps, asked by those who issue and those who send (SPEC 5.4).

Who issues asks so that no pair grows old in a queue; who sends asks again, for between the two lies anything. Hours and
pauses bar an organisation's invitations from a lane's claim; the cap is taken in the transaction that marks a message
*sending*, so that however many daemons work, no day begins more than its cap. What certainly was not sent gives its
place back.

Results are counted where they are written down, and the transaction that counts one too many bad ones pauses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from typing import Final

from sqlalchemy import Connection, func, select, text

from invites import canary, pauses, tally
from invites.agenda import PAUSED, Barred
from invites.allowance import ALL, NO_ROOM, Allowance, allowance_of, left
from invites.forecast import Standing
from invites.options import InviteOptions
from invites.outbox import OutboxEntry
from invites.pauses import THRESHOLD, Pause
from invites.tables import QUEUED, attempts, outbox
from invites.tally import CHALLENGES, Place
from patient_records.instants import from_micros

CAP: Final = "daily_cap"


class Gate:
    """Knows the rhythm and asks the database; one object serves all."""

    def __init__(self, options: InviteOptions) -> None:
        self._options = options
        self._rhythm = options.rhythm

    def barred(self, connection: Connection, channel: str, now: datetime) -> Barred:
        """Whose messages by that channel may not go out now."""
        in_force = pauses.in_force(connection)
        closed: dict[str, str] = {}
        everything: set[str] = set()
        for organisation in self._options.organisations:
            stopped = [p for p in in_force if p.covers(organisation, channel, invitation=True)]
            if any(pause.everything for pause in stopped):
                everything.add(organisation)
            why = PAUSED if stopped else self._closed(organisation, channel, now)
            if why is None and self._full(connection, organisation, channel, now):
                why = CAP
            if why is not None:
                closed[organisation] = why
        return Barred(closed, frozenset(everything))

    def allowance(
        self, connection: Connection, organisation: str, now: datetime, *, heed_hours: bool = True
    ) -> Allowance:
        """How many invitations may be issued now. In a writing transaction it holds the canary's row.

        What waits in the outbox has a place already. ``heed_hours`` is False for a person who issues by hand: what is
        issued at night is sent in the morning.
        """
        in_force = pauses.in_force(connection)
        taken = self._begun(connection, organisation, now)
        if self._capped:
            taken = {name: taken.get(name, 0) + count for name, count in self._queued(connection, organisation).items()}
        channels = self._options.policy.channels
        shut = {channel for channel in channels if heed_hours and self._closed(organisation, channel, now) is not None}
        paused = {c for c in channels if any(p.covers(organisation, c, invitation=True) for p in in_force)}
        return allowance_of(self._rhythm, channels, taken, shut | paused)

    def standing(self, connection: Connection, organisation: str, now: datetime) -> Standing:
        """Where an organisation stands today, for the dry run; a reader will do."""
        in_force = pauses.in_force(connection)
        channels = self._options.policy.channels
        paused = [c for c in channels if any(p.covers(organisation, c, invitation=True) for p in in_force)]
        canary_left = canary.seen_left(connection, organisation, self._rhythm)
        return Standing(self._begun(connection, organisation, now), canary_left, paused, channels)

    def canary_left(self, connection: Connection, organisation: str, now: datetime) -> int | None:
        """How many the canary lets go, None: any number; to be asked in the transaction that issues."""
        return canary.left(connection, organisation, self._rhythm, now)

    def canary_out(self, connection: Connection, organisation: str, issued: int, now: datetime) -> None:
        """Count what was issued under the canary."""
        if self._rhythm.canary is not None and issued:
            canary.count(connection, organisation, issued, now)

    def canary_may_pass(self, connection: Connection, organisation: str, now: datetime) -> bool:
        """Whether the canary came to a good end and nothing of the organisation is paused; for a reader."""
        if not canary.has_ended_well(connection, organisation, self._rhythm, now):
            return False
        return not any(pause.organisation in ("", organisation) for pause in pauses.in_force(connection))

    def take(self, connection: Connection, entries: Sequence[OutboxEntry], now: datetime) -> set[int]:
        """Take a place of today for each of these entries that is an invitation; gives the ids of those that have one.

        What is no invitation needs none. To be called in the transaction that marks them.
        """
        admitted = {entry.id for entry in entries if entry.invitation_id is None}
        waiting: dict[Place, list[int]] = {}
        for entry in entries:
            if entry.invitation_id is not None:
                waiting.setdefault((entry.organisation, entry.channel), []).append(entry.id)
        for (organisation, channel), ids in sorted(waiting.items()):
            today = self._options.today_of(organisation, now)
            by_all = tally.begin(connection, (organisation, ALL), today, len(ids), self._rhythm.daily_cap)
            cap = self._rhythm.channel_caps.get(channel)
            granted = tally.begin(connection, (organisation, channel), today, by_all, cap)
            if granted < by_all:
                tally.give_back(connection, {(organisation, ALL, today.isoformat()): by_all - granted})
            admitted.update(ids[:granted])
        return admitted

    def give_back(self, connection: Connection, calls: Collection[tuple[OutboxEntry, int]]) -> None:
        """Give back the places of calls (entry and attempt number) that certainly sent nothing."""
        numbers = {entry.id: (entry, number) for entry, number in calls if entry.invitation_id is not None}
        if not numbers:
            return
        columns = (attempts.c.entry_id, attempts.c.number, attempts.c.started_at)
        rows = connection.execute(select(*columns).where(attempts.c.entry_id.in_(sorted(numbers))))
        places: Counter[tuple[str, str, str]] = Counter()
        for row in rows:
            entry, number = numbers[row.entry_id]
            if row.number == number:
                day = self._options.today_of(entry.organisation, from_micros(row.started_at)).isoformat()
                places[entry.organisation, entry.channel, day] += 1
                places[entry.organisation, ALL, day] += 1
        tally.give_back(connection, places)

    def note(self, connection: Connection, results: Iterable[tuple[str, str, bool]], now: datetime) -> list[Pause]:
        """Count results (organisation, channel, good or bad) and pause what fails too often; gives new pauses."""
        good: Counter[Place] = Counter()
        bad: Counter[Place] = Counter()
        for organisation, channel, was_good in results:
            (good if was_good else bad)[organisation, channel] += 1
        limit = self._rhythm.pause
        made = []
        for place in sorted(good | bad):
            percent = limit.challenges if place[1] == CHALLENGES else limit.percent
            today = self._options.today_of(place[0], now)
            found = tally.result(connection, place, today, good=good[place], bad=bad[place])
            if percent is not None:
                made += self._judge(connection, place, found, percent, now)
        return made

    def _judge(
        self, connection: Connection, place: Place, found: tuple[int, int], percent: int, now: datetime
    ) -> list[Pause]:
        good, bad = found
        organisation, channel = place
        if good + bad < self._rhythm.pause.at_least or bad * 100 <= percent * (good + bad):
            return []
        channel = "" if channel == CHALLENGES else channel
        if any(p.covers(organisation, channel, invitation=True) for p in pauses.in_force(connection)):
            return []
        what = "wrong dates of birth" if place[1] == CHALLENGES else "refused or failed"
        reason = f"{bad} of {good + bad} {what} today, more than {percent} %"
        pause = Pause(organisation, channel, everything=False, origin=THRESHOLD, reason=reason, since=now)
        return [pause] if pauses.put_if_none(connection, pause) else []

    def _closed(self, organisation: str, channel: str, now: datetime) -> str | None:
        return self._rhythm.hours.closed(channel, now.astimezone(self._options.zone_of(organisation)))

    @property
    def _capped(self) -> bool:
        return self._rhythm.daily_cap is not None or bool(self._rhythm.channel_caps)

    def _full(self, connection: Connection, organisation: str, channel: str, now: datetime) -> bool:
        begun = self._begun(connection, organisation, now)
        by_channel = left(self._rhythm.channel_caps.get(channel), begun, channel)
        return NO_ROOM in (by_channel, left(self._rhythm.daily_cap, begun, ALL))

    def _begun(self, connection: Connection, organisation: str, now: datetime) -> dict[str, int]:
        if not self._capped:
            return {}
        return tally.started(connection, organisation, self._options.today_of(organisation, now))

    def _queued(self, connection: Connection, organisation: str) -> dict[str, int]:
        """How many invitations of the organisation wait in the outbox, by channel and together."""
        waiting = (outbox.c.organisation == organisation, outbox.c.invitation_id.is_not(None))
        statement = select(outbox.c.channel, func.count()).where(text(QUEUED), *waiting).group_by(outbox.c.channel)
        counts = {channel: int(count) for channel, count in connection.execute(statement)}
        return dict.fromkeys(self._options.policy.channels, 0) | counts | {ALL: sum(counts.values())}


def lift(connection: Connection, organisation: str, channel: str, today: date) -> bool:
    """End a pause and let what follows be judged anew; gives whether there was one."""
    tally.forget_results(connection, organisation, channel, today)
    if not channel:
        tally.forget_results(connection, organisation, CHALLENGES, today)
    return pauses.lift(connection, organisation, channel)

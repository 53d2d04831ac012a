"""Puts this room together, out of what the daemon hands in; nothing here is configured or started."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Final

from msgspec import Struct

from invites.access_token import RandomBytes
from invites.consequences import Consequences
from invites.dispatch import CLOSING, Dispatch
from invites.enqueue import Enqueue
from invites.finish import Finish
from invites.gate import Gate
from invites.issue import Issue
from invites.mint import Mint
from invites.on_request import OnRequest
from invites.onward import Onward
from invites.options import InviteOptions, Lane
from invites.receipts import Receipts
from invites.reminders import Reminders
from invites.schedule import Job
from invites.sweep import Sweep
from patient_records.ids import IdSource
from patient_records.keys import KeyRing
from patient_records.repository import Records
from patient_records.unit_of_work import Database

INVITE: Final = "invite"
REMIND: Final = "remind"
SWEEP: Final = "sweep"
DISPATCH: Final = "dispatch:"

DISPATCH_EVERY: Final = timedelta(seconds=2)
"""How long an entry that became due may wait; a look at an outbox with nothing due costs well under a millisecond."""

SWEEP_EVERY: Final = timedelta(minutes=1)
"""How long a lapsed lease may go unnoticed; small against the lease itself."""


class Invites(Struct, frozen=True):
    """All that invites people: what hears of changes, issues (by itself, on request), the lanes, sweep and receipts."""

    consequences: Consequences
    mint: Mint
    issue: Issue
    on_request: OnRequest
    lanes: Mapping[str, Dispatch]
    sweep: Sweep
    receipts: Receipts
    finish: Finish
    gate: Gate
    reminders: Reminders

    def jobs(self, invite_every: timedelta) -> list[Job]:
        """Give the jobs of the schedule: issuing, reminders, the sweep, and one for each lane."""
        return [
            Job(INVITE, invite_every, lambda stopping: self.issue.run(stopping=stopping)),
            Job(REMIND, invite_every, self.reminders.run),
            Job(SWEEP, SWEEP_EVERY, self.sweep.run),
            *[Job(DISPATCH + channel, DISPATCH_EVERY, lane.run) for channel, lane in self.lanes.items()],
        ]

    def close(self, deadline: float = CLOSING) -> bool:
        """End the lanes' threads, once the schedule has stopped, within so many seconds; gives whether all ended."""
        until = time.monotonic() + deadline
        ended = [lane.close(max(0.0, until - time.monotonic())) for lane in self.lanes.values()]
        return all(ended)


def assemble(
    database: Database,
    records: Records,
    ring: KeyRing,
    ids: IdSource,
    *,
    options: InviteOptions,
    lanes: Iterable[Lane],
    random_bytes: RandomBytes,
    chance: Callable[[], float],
) -> Invites:
    """Put everything together. ``random_bytes`` is ``os.urandom``, ``chance`` gives numbers of [0, 1) for back-offs."""
    mint = Mint(ring, ids, random_bytes, options.lifetime)
    enqueue = Enqueue(mint, ids, options)
    onward = Onward(records, enqueue, options)
    gate = Gate(options)
    finish = Finish(database, onward, options.retry, chance, gate=gate)
    receipts = Receipts(database, onward, gate)
    return Invites(
        consequences=Consequences(options),
        mint=mint,
        issue=Issue(database, records, enqueue, options, gate),
        on_request=OnRequest(records, mint, options),
        lanes={
            lane.channel.kind: Dispatch(database, records, lane, options, onward=onward, finish=finish, ids=ids)
            for lane in lanes
        },
        sweep=Sweep(database, records, onward, options, receipts),
        receipts=receipts,
        finish=finish,
        gate=gate,
        reminders=Reminders(database, records, enqueue, options, gate),
    )

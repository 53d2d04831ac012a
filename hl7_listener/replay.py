"""Stored messages applied again: what could not be applied when it came, now that it can (SPEC 1, ``doorstep replay``).

In the order in which they came, with the time of their events, so that an old statement does not overrule a newer one.
A message that was replayed once is passed over, so the same replay twice changes nothing; so is one of the quarantine
about which somebody decided. One that still waited there and is applied now waits no more. Only what comes to something
is journalled anew, under ``replay_of``; the first entry goes on saying how the message was answered.

A **rehearsal** does everything in a transaction that is then undone, consequences for invitations included, and
compares the records before and after: what it shows is what would happen. It holds the database's write lock for as
long as a piece takes, so what it shows is true within pieces of :data:`REHEARSED` messages, fewer where they are large.

A message of a listener that enforces conformance is judged again, as it was when it came: what is not conformant is
refused still, and what was refused once is applied when its profile has changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from hl7_listener.arrival import Settled
from hl7_listener.options import ListenerOptions
from hl7_listener.replay_candidates import Candidates, Wanted
from hl7_listener.reprocessing import Fate, Reprocessed, Reprocessing
from patient_records.journal import Journal
from patient_records.model import Masked, PatientRecord
from patient_records.ports import RecordChange
from patient_records.quarantine import Quarantine
from patient_records.reconcile import Outcome
from patient_records.repository import Records
from patient_records.unit_of_work import Database

APPLIED_IN_ONE: Final = 100
"""Messages in one transaction."""

REHEARSED: Final = 1_000
"""Messages that a rehearsal looks at in one transaction: half a second, for which a feed beside it waits."""

PASSED_OVER: Final = ("ignored", "held", "rejected")
"""Outcomes that are replayed unless others are asked for: those that changed nobody."""

_GO_ON_WAITING: Final = frozenset({Outcome.HELD, Outcome.REJECTED})


class Difference(Masked, Struct, frozen=True):
    """One record before (None: it would be new) and after the messages of a rehearsed piece."""

    before: PatientRecord | None
    after: PatientRecord

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the fields of demographics and standing that differ; ``created`` for a new record."""
        if self.before is None:
            return ("created",)
        halves = (
            (self.before.demographics, self.after.demographics),
            (self.before.standing, self.after.standing),
        )
        names = ((was, is_now, name) for was, is_now in halves for name in was.__struct_fields__)
        return tuple(name for was, is_now, name in names if getattr(was, name) != getattr(is_now, name))


class ReplayReport(Struct, frozen=True):
    """What became of the messages, by outcome.

    Beside those of every message: ``failed`` (our own code or a seal), ``decided_meanwhile`` (somebody else applied or
    discarded it while this replay was under way), and why some were passed over (``replay_candidates.py``).
    """

    messages: int
    outcomes: dict[str, int]
    changed: int


class _Heard:
    """Hears which records changed, and how each was at first and is at last."""

    def __init__(self) -> None:
        self._said_in: Connection | None = None
        self._said: list[RecordChange] = []
        self._first: dict[int, PatientRecord | None] = {}
        self._last: dict[int, PatientRecord] = {}

    def records_changed(self, connection: Connection, changes: Sequence[RecordChange], now: datetime) -> None:
        """Hear what a transaction changes, which may yet fail and be done again."""
        del now
        if connection is not self._said_in:
            self._said_in, self._said = connection, []
        self._said += changes

    def believe(self, connection: Connection) -> None:
        """Keep what this transaction changed: it did not fail."""
        for change in self._said if connection is self._said_in else ():
            self._first.setdefault(change.after.id, change.before)
            self._last[change.after.id] = change.after

    def differences(self) -> list[Difference]:
        """Give the records that differ, in the order of their ids."""
        found = (Difference(self._first[id_], record) for id_, record in sorted(self._last.items()))
        return [difference for difference in found if difference.fields]


class Replay:
    """Replays messages of the journal."""

    def __init__(
        self,
        database: Database,
        journal: Journal,
        records: Records,
        reprocessing: Reprocessing,
        listeners: Mapping[str, ListenerOptions],
    ) -> None:
        self._database = database
        self._reprocessing = reprocessing
        self._candidates = Candidates(database, journal, records, listeners)

    def count(self, *, since: datetime | None, statuses: Sequence[str]) -> int:
        """Count the messages that a replay would look at."""
        return self._candidates.count(Wanted(since, tuple(statuses)))

    def run(
        self,
        *,
        since: datetime | None,
        statuses: Sequence[str],
        progress: Callable[[int], None] = lambda _done: None,
        pause: Callable[[], None] = lambda: None,
        also: Callable[[Connection, Sequence[Settled]], None] = lambda _connection, _settled: None,
    ) -> ReplayReport:
        """Apply what can be applied now; ``also`` is done in each of its transactions. Can be called again at any time.

        Raises StorageUnavailable and KeyFault; what was settled before stays so.
        """
        outcomes: Counter[str] = Counter()
        done = changed = 0

        def with_quarantine(connection: Connection, settled: Sequence[Settled]) -> None:
            ids = [one.arrival.replay_of for one in settled if one.outcome not in _GO_ON_WAITING]
            Quarantine.applied(connection, [id_ for id_ in ids if id_ is not None], self._database.now(connection))
            also(connection, settled)

        for piece in self._candidates.pieces(Wanted(since, tuple(statuses)), APPLIED_IN_ONE):
            outcomes.update(piece.skipped)
            for fate in self._reprocessing.settle(piece.messages, with_quarantine) if piece.messages else ():
                outcomes[_outcome(fate)] += 1
                changed += isinstance(fate, Settled) and bool(fate.changes)
            done += piece.looked_at
            progress(done)
            pause()
        return ReplayReport(done, dict(outcomes), changed)

    def rehearse(
        self,
        *,
        since: datetime | None,
        statuses: Sequence[str],
        show: Callable[[Difference], None],
        progress: Callable[[int], None] = lambda _done: None,
    ) -> ReplayReport:
        """Do the same and undo it, and ``show`` each record that would differ. Raises as :meth:`run`."""
        outcomes: Counter[str] = Counter()
        done = changed = 0
        for piece in self._candidates.pieces(Wanted(since, tuple(statuses)), REHEARSED):
            outcomes.update(piece.skipped)
            if piece.messages:
                fates, differences = self._undone(piece.messages)
                outcomes.update(map(_outcome, fates))
                changed += len(differences)
                for difference in differences:
                    show(difference)
            done += piece.looked_at
            progress(done)
        return ReplayReport(done, dict(outcomes), changed)

    def _undone(self, piece: Sequence[Reprocessed]) -> tuple[list[Fate], list[Difference]]:
        heard = _Heard()
        fates = self._reprocessing.heard_by(heard).rehearse(piece, heard.believe)
        return fates, heard.differences()


def _outcome(fate: Fate) -> str:
    return str(fate.outcome if isinstance(fate, Settled) else fate)

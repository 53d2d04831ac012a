"""A message of the quarantine, applied after all: as it was, or mended (SPEC 3.6).

What was received stays what it was. A resubmitted message that comes to something gets a journal entry of its own
(``replay_of`` names the first), so that both versions are kept. The entry is claimed and stops waiting in the same
transaction, so that two people cannot resubmit it twice, nor a person and a replay. One that is refused or held again
changes nothing and goes on waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from hl7_listener.arrival import Settled
from hl7_listener.batch import JOURNALLED_REPLAYS
from hl7_listener.mending import Mend, mend
from hl7_listener.options import ListenerOptions
from hl7_listener.reprocessing import Fate, Reprocessed, Reprocessing, Undone, Unsettled, as_received
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action
from patient_records.journal import Journal
from patient_records.quarantine import DISCARDED, RESUBMITTED, WAITING, Quarantine, Waiting
from patient_records.reconcile import Outcome
from patient_records.replay_claim import claim
from patient_records.unit_of_work import Database


class NotWaiting(Undone):
    """That id does not wait in quarantine; the text says what became of it, if anything."""


class NoListener(Exception):
    """The listener that the message came by is not configured any more; name another."""

    def __init__(self, name: str) -> None:
        super().__init__(f'the listener "{name}" is not configured any more')
        self.name = name


class _NotAccepted(Undone):
    """The message is refused or held again."""

    def __init__(self, settled: Settled) -> None:
        super().__init__()
        self.settled = settled


class Resubmitted(Struct, frozen=True):
    """What came of it: the outcome and reason as for any message; ``accepted`` says that it waits no more."""

    journal_id: int
    accepted: bool
    outcome: str
    reason: str
    replay_id: int | None
    changes: tuple[str, ...]
    findings: tuple[str, ...]


_SOMEBODY_ELSE: Final = "{}: somebody else decided about it just now"
_NOT_ACCEPTED: Final = frozenset({Outcome.HELD, Outcome.REJECTED})


class Curator:
    """Works on the quarantine for one person, whose acts are audited in the transactions that carry them."""

    def __init__(
        self,
        database: Database,
        *,
        journal: Journal,
        quarantine: Quarantine,
        audit: AuditTrail,
        reprocessing: Reprocessing,
        listeners: Mapping[str, ListenerOptions],
        actor: Actor,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._journal = journal
        self._quarantine = quarantine
        self._audit = audit
        self._reprocessing = reprocessing
        self._listeners = listeners
        self._actor = actor
        self._clock = clock

    def page(self, *, state: str | None, sender: str, after: int, size: int) -> list[Waiting]:
        """Give the next entries after that id, oldest first."""
        with self._database.read() as connection:
            return self._quarantine.page(connection, state=state, sender=sender, after=after, size=size)

    def show(self, journal_id: int) -> tuple[Waiting, bytes, str]:
        """Give an entry, its message as received and the note of who decided. Raises NotWaiting for an unknown id."""
        with self._database.begin() as connection:
            entry = self._known(connection, journal_id)
            raw = self._journal.raw(connection, journal_id)
            note = self._quarantine.note(connection, journal_id)
            self._tell(connection, Action.QUARANTINE_SHOWN, entry)
        return entry, raw, note

    def resubmit(
        self, journal_id: int, mends: Sequence[Mend], *, note: str = "", listener: str | None = None
    ) -> Resubmitted:
        """Apply a waiting message, mended where asked, for the organisation that it came for.

        Raises NotWaiting, NoListener, MendFault, Unreadable (there is nothing that could be mended), StorageUnavailable
        and KeyFault; nothing has changed then.
        """
        with self._database.read() as connection:
            entry = self._waiting(connection, journal_id)
            raw = self._journal.raw(connection, journal_id)
        options = self._listeners.get(listener or entry.listener)
        if options is None:
            raise NoListener(listener or entry.listener)
        options = as_received(options, entry.organisation)
        if mends:
            raw = mend(raw, mends, charset=options.charset, default_charset=options.default_charset)
        message = Reprocessed(options, raw, entry.received_at, entry.offset, journal_id)

        def also(connection: Connection, settled: Sequence[Settled]) -> None:
            if settled[0].outcome in _NOT_ACCEPTED:
                raise _NotAccepted(settled[0])
            self._decide(connection, entry, RESUBMITTED, note)

        try:
            [fate] = self._reprocessing.settle([message], also)
        except _NotAccepted as undone:
            return _result(journal_id, undone.settled, accepted=False)
        if fate is Unsettled.DECIDED_MEANWHILE:
            raise NotWaiting(_SOMEBODY_ELSE.format(journal_id))
        return _result(journal_id, fate, accepted=True)

    def discard(self, journal_id: int, note: str) -> None:
        """Let a waiting message wait no more and change nothing; its bytes stay. Raises NotWaiting."""
        with self._database.begin() as connection:
            if not claim(connection, [journal_id]):
                self._waiting(connection, journal_id)  # says what became of it
                raise NotWaiting(_SOMEBODY_ELSE.format(journal_id))
            self._decide(connection, self._waiting(connection, journal_id), DISCARDED, note)

    def _decide(self, connection: Connection, entry: Waiting, state: str, note: str) -> None:
        if not self._quarantine.decide(connection, entry.id, state, note, self._clock()):
            raise NotWaiting(_SOMEBODY_ELSE.format(entry.id))
        done = Action.QUARANTINE_RESUBMITTED if state == RESUBMITTED else Action.QUARANTINE_DISCARDED
        self._tell(connection, done, entry)

    def _known(self, connection: Connection, journal_id: int) -> Waiting:
        entry = self._quarantine.one(connection, journal_id)
        if entry is None:
            raise NotWaiting(f"{journal_id} is not in quarantine: doorstep quarantine list shows what is")
        return entry

    def _waiting(self, connection: Connection, journal_id: int) -> Waiting:
        entry = self._known(connection, journal_id)
        if entry.state != WAITING:
            raise NotWaiting(f"{journal_id} waits no more: it was {entry.state} at {entry.decided_at:%Y-%m-%d %H:%M}Z")
        return entry

    def _tell(self, connection: Connection, action: Action, entry: Waiting) -> None:
        told = AuditEntry(self._actor, action, entry.organisation, detail={"journal": entry.id})
        self._audit.append(connection, [told], self._clock())


def _result(journal_id: int, settled: Fate, *, accepted: bool) -> Resubmitted:
    if isinstance(settled, Unsettled):
        return Resubmitted(journal_id, False, "failed", "doorstep failed over it; the log says where", None, (), ())
    return Resubmitted(
        journal_id,
        accepted,
        str(settled.outcome),
        settled.reason,
        settled.journal_id if accepted and settled.outcome in JOURNALLED_REPLAYS else None,
        settled.changes,
        settled.findings,
    )

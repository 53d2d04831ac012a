"""Messages that come from no connection: stored ones that staff have applied again, and rows of a spreadsheet.

They take the way of every other message (read, interpreted, settled in one transaction, journalled) but for its two
ends: nobody waits for an answer, and a stored message is no repeat of itself (``Arrival.replay_of``). A daemon may be
at work on the same database: locks, conflicts and their retries are the same as between two daemons.

*Once.* A stored message is claimed in the transaction that settles it (``patient_records/replay_claim.py``): one that
somebody else applied or decided about since it was chosen is left alone.

*Failure.* A batch that one message makes fail is done again message by message, so that the others are settled; of that
one nothing is stored, and who asked is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection

from hl7_listener.arrival import Arrival, Settled
from hl7_listener.batch import Batch, Stores
from hl7_listener.framing import Frame
from hl7_listener.interpreter import Interpreter
from hl7_listener.options import ListenerOptions
from hl7_listener.telemetry import Telemetry
from patient_records.errors import KeyFault, StorageConflict, StorageUnavailable
from patient_records.model import Masked
from patient_records.ports import RecordChange, RecordChanges
from patient_records.replay_claim import claim
from patient_records.unit_of_work import Database

Also: TypeAlias = Callable[[Connection, Sequence[Settled]], None]
"""What else belongs into the transaction that settles."""

_ATTEMPTS: Final = 5
_PAUSE: Final = 0.02


class Undone(Exception):
    """Nothing of the transaction counts: what it was to be part of is not so any more."""


class Unsettled(StrEnum):
    """Why a message was not settled: our own code or its seals failed over it, or somebody else dealt with it."""

    FAILED = "failed"
    DECIDED_MEANWHILE = "decided_meanwhile"


Fate: TypeAlias = Settled | Unsettled
"""What became of a message."""

_Transact: TypeAlias = Callable[[Sequence[Arrival]], list[Fate]]


class _Rehearsed(Undone):
    """All of it was done, and none of it is to stay."""

    def __init__(self, fates: list[Fate]) -> None:
        super().__init__()
        self.fates = fates


class Reprocessed(Masked, Struct, frozen=True):
    """A message to settle. ``received_at`` is when it first came: what it says of time counts from then."""

    listener: ListenerOptions
    raw: bytes
    received_at: datetime
    offset: int = 0
    replay_of: int | None = None


def as_received(listener: ListenerOptions, organisation: str) -> ListenerOptions:
    """A listener's options for a message that came for that organisation.

    Spreadsheets of all organisations come by one name, and a listener may have been given to another one since.
    """
    return listener if listener.organisation == organisation else replace(listener, organisation=organisation)


def nothing_more(_connection: Connection, _settled: Sequence[Settled]) -> None:
    """Do nothing beside the settling."""


def as_it_came(arrival: Arrival) -> Arrival:
    """Judge nothing: what a person has applied knowingly may be what its listener refuses."""
    return arrival


class Nobody:
    """Who waits for the answers: nobody."""

    abandoned = False

    def settled(self, settled: Settled) -> None:
        """Look away."""

    def failed(self, arrival: Arrival) -> None:
        """Look away."""

    def give_up(self) -> None:
        """Look away."""


class _Both(Struct, frozen=True):
    first: RecordChanges
    second: RecordChanges

    def records_changed(self, connection: Connection, changes: Sequence[RecordChange], now: datetime) -> None:
        """Tell both."""
        self.first.records_changed(connection, changes, now)
        self.second.records_changed(connection, changes, now)


class Reprocessing:
    """Settles such messages, many in one transaction; ``judged`` may refuse one first, before the transaction."""

    def __init__(
        self,
        database: Database,
        stores: Stores,
        telemetry: Telemetry,
        clock: Callable[[], datetime],
        judged: Callable[[Arrival], Arrival] = as_it_came,
    ) -> None:
        self._database = database
        self._stores = stores
        self._telemetry = telemetry
        self._clock = clock
        self._judged = judged
        self._nobody = Nobody()

    def heard_by(self, also: RecordChanges) -> Reprocessing:
        """Give the same, with somebody else who hears of every changed record, in the transaction."""
        stores = replace(self._stores, changes=_Both(self._stores.changes, also))
        return Reprocessing(self._database, stores, self._telemetry, self._clock, self._judged)

    def arrival(self, message: Reprocessed) -> Arrival:
        """Read and interpret one message, as of the time when it first came."""
        interpreter = Interpreter(message.listener, self._telemetry)
        read = interpreter.arrival(Frame(message.raw, message.offset), message.received_at, self._nobody)
        return self._judged(replace(read, received_at=self._clock(), replay_of=message.replay_of))

    def settle(self, messages: Sequence[Reprocessed], also: Also = nothing_more) -> list[Fate]:
        """Settle these in their order; one that is :class:`Unsettled` stores nothing.

        ``also`` is done in the same transaction, for those that were settled, and may undo it by raising
        :class:`Undone`, which comes through. Durable when it returns. Raises StorageUnavailable (nothing more was
        stored; do it again later) and KeyFault.
        """
        return self._settled(self._arrivals(messages), partial(self._transact, also=also))

    def rehearse(self, messages: Sequence[Reprocessed], done: Callable[[Connection], None]) -> list[Fate]:
        """Do the same and undo it; ``done`` is called when all is done, before that. Raises as :meth:`settle`."""
        return self._settled(self._arrivals(messages), partial(self._undone, done=done))

    def _arrivals(self, messages: Sequence[Reprocessed]) -> list[Arrival]:
        return [self.arrival(message) for message in messages]

    def _settled(self, arrivals: Sequence[Arrival], transact: _Transact) -> list[Fate]:
        try:
            return transact(arrivals)
        except (StorageUnavailable, KeyFault, Undone):
            raise
        except Exception as error:  # noqa: BLE001 (one message's fault must not keep the others from being settled)
            if len(arrivals) == 1:
                self._telemetry.internal_error(error)
                return [Unsettled.FAILED]
        return [self._settled([arrival], transact)[0] for arrival in arrivals]

    def _undone(self, arrivals: Sequence[Arrival], done: Callable[[Connection], None]) -> list[Fate]:
        def work(connection: Connection) -> list[Fate]:
            fates = self._claimed(connection, arrivals, nothing_more)
            done(connection)
            raise _Rehearsed(fates)

        try:
            return self._transaction(work)
        except _Rehearsed as rehearsed:
            return rehearsed.fates

    def _transact(self, arrivals: Sequence[Arrival], also: Also) -> list[Fate]:
        return self._transaction(lambda connection: self._claimed(connection, arrivals, also))

    def _transaction(self, work: Callable[[Connection], list[Fate]]) -> list[Fate]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._database.begin() as connection:
                    return work(connection)
            except StorageConflict:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE * attempt)
        raise AssertionError("unreachable")

    def _claimed(self, connection: Connection, arrivals: Sequence[Arrival], also: Also) -> list[Fate]:
        stored = [arrival.replay_of for arrival in arrivals if arrival.replay_of is not None]
        mine = claim(connection, stored) if stored else frozenset()
        free = [arrival.replay_of is None or arrival.replay_of in mine for arrival in arrivals]
        settled: list[Settled] = []
        if any(free):
            ours = [arrival for arrival, is_free in zip(arrivals, free, strict=True) if is_free]
            settled = Batch(self._stores, connection, self._clock()).settle(ours)
            also(connection, settled)
        rest = iter(settled)
        return [next(rest) if is_free else Unsettled.DECIDED_MEANWHILE for is_free in free]

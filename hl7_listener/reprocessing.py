"""Messages that come from no connection: stored ones that staff have applied again, and rows of a spreadsheet.

They take the way of every other message (read, interpreted, settled in one transaction, journalled) but for its two
ends: nobody waits for an answer, and a stored message is no repeat of itself (``Arrival.replay_of``). A daemon may be
at work on the same database: locks, conflicts and their retries are the same as between two daemons.

*Failure.* A batch that one message makes fail is done again message by message, so that the others are settled; of that
one nothing is stored, and who asked is told.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
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
from patient_records.unit_of_work import Database

Also: TypeAlias = Callable[[Connection, Sequence[Settled]], None]
"""What else belongs into the transaction that settles."""

_ATTEMPTS: Final = 5
_PAUSE: Final = 0.02


class Undone(Exception):
    """Nothing of the transaction counts: what it was to be part of is not so any more."""


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
    """Settles such messages, many in one transaction."""

    def __init__(self, database: Database, stores: Stores, telemetry: Telemetry, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._stores = stores
        self._telemetry = telemetry
        self._clock = clock
        self._nobody = Nobody()

    def heard_by(self, also: RecordChanges) -> Reprocessing:
        """Give the same, with somebody else who hears of every changed record, in the transaction."""
        stores = replace(self._stores, changes=_Both(self._stores.changes, also))
        return Reprocessing(self._database, stores, self._telemetry, self._clock)

    def arrival(self, message: Reprocessed) -> Arrival:
        """Read and interpret one message, as of the time when it first came."""
        interpreter = Interpreter(message.listener, self._telemetry)
        read = interpreter.arrival(Frame(message.raw, message.offset), message.received_at, self._nobody)
        return replace(read, received_at=self._clock(), replay_of=message.replay_of)

    def settle(self, messages: Sequence[Reprocessed], also: Also = nothing_more) -> list[Settled | None]:
        """Settle these in their order; None for one that our own code or its seals failed over, which stores nothing.

        ``also`` is done in the same transaction, and may undo it by raising :class:`Undone`, which comes through.
        Durable when it returns. Raises StorageUnavailable (nothing more was stored; do it again later) and KeyFault.
        """
        arrivals = [self.arrival(message) for message in messages]
        try:
            return list(self._transact(arrivals, also))
        except (StorageUnavailable, KeyFault, Undone):
            raise
        except Exception as error:  # noqa: BLE001 (one message's fault must not keep the others from being settled)
            if len(messages) == 1:
                self._telemetry.internal_error(error)
                return [None]
        return [self.settle([message], also)[0] for message in messages]

    def _transact(self, arrivals: Sequence[Arrival], also: Also) -> Sequence[Settled]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._database.begin() as connection:
                    settled = Batch(self._stores, connection, self._clock()).settle(arrivals)
                    also(connection, settled)
                    return settled
            except StorageConflict:
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE * attempt)
        raise AssertionError("unreachable")

"""What other rooms may hang onto a change of records.

Death, deletion, a merge or a new date of birth must end invitations and tokens in the very transaction that stores the
message (SPEC 3.5, consequences), and this room must not know what an invitation is. So it says "these records changed,
here is the transaction"; ``invites`` answers, and ``daemon`` introduces the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from sqlalchemy import Connection

from patient_records.model import PatientRecord
from patient_records.sealing import SealingKey


class RecordChange(Struct, frozen=True):
    """One record that a transaction makes or changes: as it was (None: it is new), as it is, and its record key."""

    before: PatientRecord | None
    after: PatientRecord
    key: SealingKey


class RecordChanges(Protocol):
    """Who wants to hear of changes, inside their transaction. On the hot path: once a transaction, all changes."""

    def records_changed(self, connection: Connection, changes: Sequence[RecordChange], now: datetime) -> None:
        """Do what the changes ask for in the same transaction. Raising undoes all of it."""
        ...

"""What people decide about a record: hold and release, exclude and include, opt out and in.

One transaction, the caller's: the record is locked and changed, whoever listens to changes does the rest (a hold ends
what is under way, SPEC 3.5), and the audit trail says who it was. A reason is a code from a list, never prose: the
column that it goes into is in clear.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action
from patient_records.errors import StorageConflict
from patient_records.model import Standing
from patient_records.ports import RecordChange, RecordChanges
from patient_records.repository import Records


class Decision(StrEnum):
    """What is decided."""

    HOLD = "hold"
    RELEASE = "release"
    EXCLUDE = "exclude"
    INCLUDE = "include"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"

    @property
    def asks_reason(self) -> bool:
        """Whether it is made for a reason that is kept."""
        return self in {Decision.HOLD, Decision.EXCLUDE}


class Ground(StrEnum):
    """Why somebody is held or excluded."""

    WRONG_CONTACT = "wrong_contact"
    IDENTITY_IN_DOUBT = "identity_in_doubt"
    SAFEGUARDING = "safeguarding"
    CLINICAL = "clinical"
    LACKS_CAPACITY = "lacks_capacity"
    PATIENT_WISH = "patient_wish"
    TEST_RECORD = "test_record"
    OTHER = "other"


class Verdict(StrEnum):
    """What came of a decision."""

    DONE = "done"
    ALREADY_SO = "already_so"
    NOT_FOUND = "not_found"
    OTHER_ORGANISATION = "other_organisation"


class Decider(Struct, frozen=True):
    """Who decides, and for which organisation: only the one that made a record decides about it; None: an operator."""

    actor: Actor
    organisation: str | None


_ACTIONS: Final = {
    Decision.HOLD: Action.RECORD_HELD,
    Decision.RELEASE: Action.RECORD_RELEASED,
    Decision.EXCLUDE: Action.RECORD_EXCLUDED,
    Decision.INCLUDE: Action.RECORD_INCLUDED,
    Decision.OPT_OUT: Action.RECORD_OPTED_OUT,
    Decision.OPT_IN: Action.RECORD_OPTED_IN,
}


class Decisions:
    """Carries decisions out."""

    def __init__(self, records: Records, changes: RecordChanges, trail: AuditTrail) -> None:
        self._records = records
        self._changes = changes
        self._trail = trail

    def decide(
        self,
        connection: Connection,
        record_id: int,
        decision: Decision,
        by: Decider,
        now: datetime,
        *,
        ground: Ground | None = None,
    ) -> Verdict:
        """Decide about a record that is nobody's prior one. ``ground`` is needed to hold and to exclude (ValueError).

        Raises StorageConflict when it was merged meanwhile: look for its survivor and do it again.
        """
        if decision.asks_reason != (ground is not None):
            raise ValueError(f"{decision.value} {'needs a' if decision.asks_reason else 'takes no'} reason")
        before = self._records.load(connection, [record_id], lock=True).get(record_id)
        if before is None or before.record.standing.deleted_at is not None:
            return Verdict.NOT_FOUND
        if by.organisation is not None and before.record.organisation != by.organisation:
            return Verdict.OTHER_ORGANISATION
        if before.record.standing.merged_into is not None:
            raise StorageConflict("merged")
        standing = _decided(before.record.standing, decision, ground, now)
        if standing == before.record.standing:
            return Verdict.ALREADY_SO
        after = before.changed(before.record.demographics, standing)
        [saved] = self._records.save(connection, [(before, after)], now)
        self._changes.records_changed(connection, [RecordChange(before.record, saved.record, saved.key)], now)
        detail = {"reason": ground.value} if ground is not None else {}
        entry = AuditEntry(by.actor, _ACTIONS[decision], before.record.organisation, record_id, detail)
        self._trail.append(connection, [entry], now)
        return Verdict.DONE


def _decided(standing: Standing, decision: Decision, ground: Ground | None, now: datetime) -> Standing:
    """The standing after a decision; the same when it says so already."""
    match decision:
        case Decision.HOLD | Decision.RELEASE:
            return msgspec.structs.replace(standing, hold=ground.value if ground else None)
        case Decision.EXCLUDE | Decision.INCLUDE:
            return msgspec.structs.replace(standing, exclusion=ground.value if ground else None)
        case Decision.OPT_OUT:
            return msgspec.structs.replace(standing, opted_out_at=standing.opted_out_at or now)
        case Decision.OPT_IN:
            return msgspec.structs.replace(standing, opted_out_at=None)

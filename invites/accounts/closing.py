"""Closing an account: by staff, when somebody lost their address or registered as the wrong person.

The person is no longer registered, so that the front desk can issue them a new pair; nobody is invited anew by itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection

from invites.accounts import repository
from invites.accounts.password_reset import PATIENT
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action
from patient_records.repository import Records
from patient_records.sessions import Sessions
from patient_records.standing import StandingChange

CLOSED: Final = "closed_by_staff"


class Closing:
    """Closes accounts, in the caller's transaction."""

    def __init__(self, records: Records, standing: StandingChange, sessions: Sessions, audit: AuditTrail) -> None:
        self._records = records
        self._standing = standing
        self._sessions = sessions
        self._audit = audit

    def __call__(self, connection: Connection, record_id: int, actor: Actor, now: datetime) -> bool:
        """Close the account of that record; False when it has none."""
        opened = self._records.load(connection, [record_id], lock=True).get(record_id)
        account = repository.active_by_record(connection, record_id)
        if opened is None or account is None:
            return False
        pending = repository.pending_of(connection, record_id)
        repository.end_accounts(connection, [account.id, *pending], CLOSED, now)
        self._sessions.end_all(connection, PATIENT, account.id)
        self._standing(connection, opened, replace(opened.record.standing, registered_at=None), now)
        entry = AuditEntry(actor, Action.ACCOUNT_CLOSED, opened.record.organisation, record_id)
        self._audit.append(connection, [entry], now)
        return True

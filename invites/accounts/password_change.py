"""Another password for somebody who is logged in and knows the old one."""

from __future__ import annotations

from invites.accounts import repository
from invites.accounts.key_wrap import KeyWrap
from invites.accounts.limits import LOGINS_BY_ACCOUNT
from invites.accounts.password_reset import PATIENT
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.limits import Exceeded, Limits
from patient_records.sessions import Session, Sessions
from patient_records.unit_of_work import Database


class PasswordChange:
    """Changes passwords. Each costs two derivations: to be called from a thread."""

    def __init__(
        self, database: Database, *, key_wrap: KeyWrap, sessions: Sessions, limits: Limits, audit: AuditTrail
    ) -> None:
        self._database = database
        self._key_wrap = key_wrap
        self._sessions = sessions
        self._limits = limits
        self._audit = audit

    def __call__(self, account_id: int, old: str, new: str, session: Session) -> bool | Exceeded:
        """Change the password and end all other sessions; False when the old one is another.

        Raises StorageUnavailable or StorageConflict.
        """
        with self._database.begin() as connection:
            now = self._database.now(connection)
            exceeded = self._limits.take(connection, LOGINS_BY_ACCOUNT, str(account_id), now)
            account = repository.account_by_id(connection, account_id)
        if exceeded is not None:
            return exceeded
        if account is None:
            return False
        opened = self._key_wrap.open(account.wrapped, old)
        if opened is None:
            return False
        wrapped = self._key_wrap.wrap(opened.record_key, new, account.id)
        renewed = account.under(wrapped)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            still = repository.account_by_id(connection, account.id, lock=True)
            if still is None or still.wrapped_key != account.wrapped_key:
                return False
            repository.set_key(connection, renewed)
            self._sessions.end_all(connection, PATIENT, account.id, but=session)
            actor = Actor(ActorKind.PATIENT, str(account.id))
            entry = AuditEntry(actor, Action.PASSWORD_CHANGED, account.organisation, account.record_id)
            self._audit.append(connection, [entry], now)
        return True

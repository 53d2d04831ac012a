"""Logging in: the password opens the record key, and that opens the record (SPEC 8).

An address that nobody has and a password that is another's cost the same and are told the same. The limits are by the
address that was typed, known or not, and by where it comes from.

An account of a record that was merged away opens nothing: who could open one record has not shown that the other is
theirs, and merges are wrong at times (:mod:`patient_records.merge`). Its address is free for a new account of the
survivor, begun with a pair like any other; should the merge be turned round, the old one opens again.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection

from invites.accounts import repository
from invites.accounts.emails import Emails
from invites.accounts.key_wrap import KeyWrap, Unwrapped
from invites.accounts.limits import LOGINS_BY_ADDRESS, LOGINS_BY_BOTH, LOGINS_BY_EMAIL
from invites.accounts.repository import Account
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.errors import SealBroken
from patient_records.limits import Exceeded, Limits
from patient_records.model import Masked
from patient_records.repository import OpenRecord, Records, StoredRecord
from patient_records.sealing import SealingKey
from patient_records.unit_of_work import Database


class LoggedIn(Masked, Struct, frozen=True):
    """Who logged in: the account, and the key that opens its record."""

    account: Account
    record_key: SealingKey


class NoLogin(StrEnum):
    """Why nobody is logged in: a wrong address or password, or an account whose record shows itself to nobody."""

    WRONG = "wrong"
    CLOSED = "closed"


class Login:
    """Logs patients in. Each try costs one derivation: to be called from a thread."""

    def __init__(
        self,
        database: Database,
        records: Records,
        *,
        emails: Emails,
        key_wrap: KeyWrap,
        limits: Limits,
        audit: AuditTrail,
    ) -> None:
        self._database = database
        self._records = records
        self._emails = emails
        self._key_wrap = key_wrap
        self._limits = limits
        self._audit = audit

    def log_in(self, email: str, password: str, network_address: str) -> LoggedIn | NoLogin | Exceeded:
        """Open an account. Raises StorageUnavailable or StorageConflict."""
        whole, pair = email.casefold(), f"{email.casefold()} {network_address}"
        with self._database.read() as connection:
            now = self._database.now(connection)
            exceeded = self._limits.exceeded(connection, LOGINS_BY_ADDRESS, network_address, now)
            exceeded = exceeded or self._limits.exceeded(connection, LOGINS_BY_EMAIL, whole, now)
            exceeded = exceeded or self._limits.exceeded(connection, LOGINS_BY_BOTH, pair, now)
            account = repository.active_by_email(connection, self._emails.blind(email))
        if exceeded is not None:
            return exceeded
        wrapped = account.wrapped if account is not None else None
        opened = self._key_wrap.open(wrapped, password)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            if account is None or wrapped is None or opened is None:
                self._limits.take(connection, LOGINS_BY_ADDRESS, network_address, now)
                self._limits.take(connection, LOGINS_BY_EMAIL, whole, now)
                self._limits.take(connection, LOGINS_BY_BOTH, pair, now)
                return NoLogin.WRONG
            self._limits.forget(connection, LOGINS_BY_BOTH, pair)
            entered = self._enter(connection, account, opened, now)
        if isinstance(entered, LoggedIn) and self._key_wrap.outdated(wrapped):
            self._renew(entered, password)
        return entered

    def look(self, account_id: int, record_key: SealingKey) -> OpenRecord | None:
        """Open the record of somebody who is logged in, as it is now; None when the account or the person ended."""
        with self._database.read() as connection:
            account = repository.account_by_id(connection, account_id)
            if account is None or account.state != "active":
                return None
            stored = self._records.row(connection, account.record_id)
        return self._shown(stored, record_key)

    def _enter(self, connection: Connection, account: Account, opened: Unwrapped, now: datetime) -> LoggedIn | NoLogin:
        """Let somebody in whose password is right, if their record shows itself; note it either way."""
        stored = self._records.row(connection, account.record_id)
        if self._shown(stored, opened.record_key) is None:
            self._tell(connection, Action.PATIENT_LOGIN_FAILED, account, now)
            return NoLogin.CLOSED
        self._tell(connection, Action.PATIENT_LOGGED_IN, account, now)
        return LoggedIn(account, opened.record_key)

    def _renew(self, entered: LoggedIn, password: str) -> None:
        """Wrap the record key anew, under today's parameters."""
        account = entered.account
        wrapped = self._key_wrap.wrap(entered.record_key, password, account.id)
        renewed = account.under(wrapped)
        with self._database.begin() as connection:
            still = repository.account_by_id(connection, account.id, lock=True)
            if still is not None and still.wrapped_key == account.wrapped_key:
                repository.set_key(connection, renewed)

    def _shown(self, stored: StoredRecord | None, record_key: SealingKey) -> OpenRecord | None:
        """Open a record for its own person: not one that was deleted or merged away, nor after a death."""
        if stored is None:
            return None
        try:
            opened = self._records.open_with(stored, record_key)
        except SealBroken:
            return None
        standing = opened.record.standing
        gone = standing.deleted_at is not None or standing.merged_into is not None or standing.hold is not None
        return None if gone or opened.record.demographics.death is not None else opened

    def _tell(self, connection: Connection, action: Action, account: Account, now: datetime) -> None:
        entry = AuditEntry(Actor(ActorKind.PATIENT, str(account.id)), action, account.organisation, account.record_id)
        self._audit.append(connection, [entry], now)

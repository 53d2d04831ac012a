"""Logging in: the password opens the record key, and that opens the record (SPEC 8).

An address that nobody has and a password that is another's cost the same and are told the same. The limits are by the
address that was typed, known or not, and by where it comes from. A try is counted before the password is looked at, and
taken back when it was right, so that a hundred tries at once are not a hundred guesses.

An account of a record that was merged away opens nothing: who could open one record has not shown that the other is
theirs, and merges are wrong at times (:mod:`patient_records.merge`). Its address is free for a new account of the
survivor, begun with a pair like any other; should the merge be turned round, the old one opens again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection

from invites.accounts import repository
from invites.accounts.emails import Emails, plain
from invites.accounts.key_wrap import KeyWrap, Unwrapped
from invites.accounts.limits import LOGINS_BY_ADDRESS, LOGINS_BY_BOTH, LOGINS_BY_EMAIL
from invites.accounts.repository import Account
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.errors import SealBroken
from patient_records.limits import Exceeded, Limit, Limits
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
        whole = plain(email)
        pair = f"{whole} {network_address}"
        windows = ((LOGINS_BY_ADDRESS, network_address), (LOGINS_BY_EMAIL, whole), (LOGINS_BY_BOTH, pair))
        exceeded = self._too_many(windows)
        if exceeded is not None:
            return exceeded
        with self._database.read() as connection:
            account = repository.active_by_email(connection, self._emails.blind(email))
        wrapped = account.wrapped if account is not None else None
        opened = self._key_wrap.open(wrapped, password)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            if account is None or wrapped is None or opened is None:
                return NoLogin.WRONG
            self._limits.give_back(connection, LOGINS_BY_ADDRESS, network_address, now)
            self._limits.give_back(connection, LOGINS_BY_EMAIL, whole, now)
            self._limits.forget(connection, LOGINS_BY_BOTH, pair)
            entered = self._enter(connection, account, opened, now)
        if isinstance(entered, LoggedIn) and self._key_wrap.outdated(wrapped):
            return self._renew(entered, password)
        return entered

    def still(self, connection: Connection, account: Account) -> bool:
        """Whether an account is as it was read, and lock it: a password that was set meanwhile ends what began before.

        Whoever begins a session asks in the transaction in which it begins; a reset that comes later then ends it.
        """
        now = repository.account_by_id(connection, account.id, lock=True)
        return now is not None and now.state == "active" and now.wrapped_key == account.wrapped_key

    def _too_many(self, windows: Sequence[tuple[Limit, str]]) -> Exceeded | None:
        """Count a try, or say that there were too many; a flood of those costs no commits."""
        with self._database.read() as connection:
            now = self._database.now(connection)
            said = [self._limits.exceeded(connection, limit, whose, now) for limit, whose in windows]
        if any(said):
            return next(filter(None, said))
        with self._database.begin() as connection:
            now = self._database.now(connection)
            said = [self._limits.take(connection, limit, whose, now) for limit, whose in windows]
        return next(filter(None, said), None)

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
        if not self.still(connection, account):
            return NoLogin.WRONG
        stored = self._records.row(connection, account.record_id)
        if self._shown(stored, opened.record_key) is None:
            self._tell(connection, Action.PATIENT_LOGIN_FAILED, account, now)
            return NoLogin.CLOSED
        self._tell(connection, Action.PATIENT_LOGGED_IN, account, now)
        return LoggedIn(account, opened.record_key)

    def _renew(self, entered: LoggedIn, password: str) -> LoggedIn:
        """Wrap the record key anew, under today's parameters."""
        account = entered.account
        wrapped = self._key_wrap.wrap(entered.record_key, password, account.id)
        renewed = account.under(wrapped)
        with self._database.begin() as connection:
            if not self.still(connection, account):
                return entered
            repository.set_key(connection, renewed)
        return LoggedIn(renewed, entered.record_key)

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

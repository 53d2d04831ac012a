"""Staff accounts: made and ended by an operator's command, opened by a password, locked after five wrong ones.

A try is counted before the password is looked at, in a transaction of its own, so that a hundred tries at once are not
a hundred guesses. The right password forgets the count. Every refusal is the same one after the same work: nobody
learns which names exist, which are locked, and which passwords would have been right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import Connection, Row, insert, select, update

from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.ids import IdSource
from patient_records.instants import from_micros, maybe_instant, to_micros
from patient_records.model import Masked
from patient_records.passwords import Passwords, Weakness, weakness
from patient_records.unit_of_work import Database
from web.access import clients
from web.ops.tables import staff_accounts

MOST_FAILURES: Final = 5
"""Wrong passwords in a row until an account is locked."""

LOCKED_FOR: Final = timedelta(minutes=15)
"""Five guesses in a quarter of an hour: 175,000 a year, against a password that is not among the first million."""

ONE_TIME_FOR: Final = timedelta(hours=72)
"""How long a one-time password waits for its first use: a weekend."""

LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@-]{1,62}[a-z0-9]")
"""Login names, after lower-casing."""

_ALPHABET: Final = "23456789BCDFGHJKLMNPQRSTVWXYZ"  # that of the codes (SPEC 5.2): nothing is read as something else
_ONE_TIME_GROUPS: Final = 3
_GROUP: Final = 5
_A: Final = staff_accounts.c


class AccountExists(Exception):
    """There is an account of that login already."""


class StaffAccount(Struct, frozen=True):
    """One account. ``must_set_password``: its password is a one-time one until then."""

    id: int
    login: str
    organisation: str
    must_set_password: bool
    credentials_at: datetime
    created_at: datetime
    last_login_at: datetime | None
    locked_until: datetime | None
    disabled_at: datetime | None

    @property
    def actor(self) -> Actor:
        """Who they are in the audit trail."""
        return Actor(ActorKind.COORDINATOR, str(self.id))


class OneTime(Masked, Struct, frozen=True):
    """An account with its one-time password: the one time that there is one."""

    account: StaffAccount
    password: str
    until: datetime


class StaffAccounts:
    """All accounts of a database. Who works with a connection is in the caller's transaction."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        trail: AuditTrail,
        ids: IdSource,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._trail = trail
        self._ids = ids
        self._random_bytes = random_bytes

    def add(self, login: str, organisation: str, by: Actor) -> OneTime:
        """Make an account. Raises ValueError for a login that is none, :class:`AccountExists`."""
        login = normal_login(login)
        password = self._one_time()
        hashed = self._passwords.hash(password)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            if find(connection, login) is not None:
                raise AccountExists(login)
            until, id_ = now + ONE_TIME_FOR, self._ids.row_id()
            connection.execute(
                insert(staff_accounts).values(
                    id=id_,
                    login=login,
                    organisation=organisation,
                    password_hash=hashed,
                    one_time_until=to_micros(until),
                    credentials_at=to_micros(now),
                    failures=0,
                    created_at=to_micros(now),
                )
            )
            account = _required(find(connection, login))
            self._tell(connection, by, Action.STAFF_ADDED, account, now)
        return OneTime(account, password, until)

    def reset(self, login: str, by: Actor) -> OneTime:
        """Give an account a new one-time password, enable and unlock it, end its sessions. Raises LookupError."""
        password = self._one_time()
        hashed = self._passwords.hash(password)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            account = _required(find(connection, normal_login(login), lock=True))
            until = now + ONE_TIME_FOR
            values = {"password_hash": hashed, "one_time_until": to_micros(until), "disabled_at": None}
            _set(connection, account.id, **values, credentials_at=to_micros(now), failures=0, locked_until=None)
            self._tell(connection, by, Action.STAFF_RESET, account, now)
            account = _required(find(connection, account.login))
        return OneTime(account, password, until)

    def disable(self, connection: Connection, login: str, by: Actor, now: datetime) -> StaffAccount:
        """End an account, its sessions and its personal clients. The row stays, for the audit trail names it.

        Raises LookupError.
        """
        account = _required(find(connection, normal_login(login), lock=True))
        if account.disabled_at is None:
            _set(connection, account.id, disabled_at=to_micros(now), credentials_at=to_micros(now))
            clients.revoke_of_staff(connection, account.id, now)
            self._tell(connection, by, Action.STAFF_DISABLED, account, now)
        return account

    def unlock(self, connection: Connection, login: str, by: Actor, now: datetime) -> StaffAccount:
        """Lift a lockout before its time. Raises LookupError."""
        account = _required(find(connection, normal_login(login), lock=True))
        _set(connection, account.id, failures=0, locked_until=None)
        self._tell(connection, by, Action.LOCKOUT_LIFTED, account, now)
        return account

    def log_in(self, login: str, password: str) -> StaffAccount | None:
        """The account that this login and password open; None for every reason why not. Takes its time: no loop."""
        counted = self._count_a_try(login)
        if counted is None:
            self._passwords.pretend(password)
            return None
        right = self._passwords.verify(password, counted)
        anew = self._passwords.hash(password) if right and self._passwords.outdated(counted) else None
        with self._database.begin() as connection:
            now = self._database.now(connection)
            row = _row(connection, _A.login == normal_login(login), lock=True)
            if row is None:
                return None
            if not right or row.password_hash != counted or _closed(row, now):
                self._tell(connection, _actor(row), Action.STAFF_LOGIN_FAILED, row, now)
                return None
            values: dict[str, Any] = {"password_hash": anew} if anew is not None else {}
            _set(connection, row.id, failures=0, locked_until=None, last_login_at=to_micros(now), **values)
            self._tell(connection, _actor(row), Action.STAFF_LOGGED_IN, row, now)
            return by_id(connection, row.id)

    def set_password(self, account: StaffAccount, password: str) -> Weakness | StaffAccount | None:
        """Set the password that the account's owner chose; other sessions of theirs end. Takes its time: no loop.

        None when the account was disabled, or got another password, since ``account`` was read.
        """
        weak = weakness(
            password, [account.login, *re.split(r"[._@-]", account.login), account.organisation, "doorstep"]
        )
        if weak is not None:
            return weak
        hashed = self._passwords.hash(password)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            if not unchanged(connection, account):
                return None
            values = {"password_hash": hashed, "one_time_until": None, "failures": 0, "locked_until": None}
            _set(connection, account.id, **values, credentials_at=to_micros(now))
            self._tell(connection, account.actor, Action.STAFF_PASSWORD_SET, account, now)
            return _required(by_id(connection, account.id))

    def same_password(self, account: StaffAccount, password: str) -> bool:
        """Whether it is the one that the account has now: a new one must be another. Takes its time: no loop."""
        with self._database.read() as connection:
            row = _row(connection, _A.id == account.id)
        return row is not None and self._passwords.verify(password, row.password_hash)

    def _count_a_try(self, login: str) -> str | None:
        """Count a try, and give the hash to try it against; None when there is nothing to try."""
        try:
            login = normal_login(login)
        except ValueError:
            return None
        with self._database.begin() as connection:
            now = self._database.now(connection)
            row = _row(connection, _A.login == login, lock=True)
            if row is None or _locked(row, now) or _closed(row, now):
                return None
            lock = row.failures + 1 >= MOST_FAILURES
            _set(
                connection,
                row.id,
                failures=0 if lock else row.failures + 1,
                locked_until=to_micros(now + LOCKED_FOR) if lock else None,
            )
            if lock:
                self._tell(connection, _actor(row), Action.STAFF_LOCKED, row, now)
            hashed: str = row.password_hash
            return hashed

    def _one_time(self) -> str:
        """15 characters of 29 (72 bits), in groups."""
        letters = ""
        while len(letters) < _ONE_TIME_GROUPS * _GROUP:
            byte = self._random_bytes(1)[0]
            if byte < 256 - 256 % len(_ALPHABET):  # every letter as likely as the next
                letters += _ALPHABET[byte % len(_ALPHABET)]
        return "-".join(letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))

    def _tell(self, connection: Connection, by: Actor, action: Action, row: Any, now: datetime) -> None:
        """Write down what befell an account: any row or account that has its organisation and id."""
        self._trail.append(connection, [AuditEntry(by, action, row.organisation, detail={"staff": row.id})], now)


def normal_login(text: str) -> str:
    """A login as it is kept. Raises ValueError for what is none."""
    login = text.strip().lower()
    if LOGIN.fullmatch(login) is None:
        raise ValueError("a login has 3 to 64 letters, digits and . _ @ -, and begins and ends with a letter or digit")
    return login


def every(connection: Connection, organisation: str | None = None) -> list[StaffAccount]:
    """All accounts, the disabled included, by login."""
    statement = select(staff_accounts).order_by(_A.login)
    if organisation is not None:
        statement = statement.where(_A.organisation == organisation)
    return [_account(row) for row in connection.execute(statement)]


def find(connection: Connection, login: str, *, lock: bool = False) -> StaffAccount | None:
    """The account of that login, as it is kept."""
    row = _row(connection, _A.login == login, lock=lock)
    return None if row is None else _account(row)


def by_id(connection: Connection, staff_id: int) -> StaffAccount | None:
    """The account of that id."""
    row = _row(connection, _A.id == staff_id)
    return None if row is None else _account(row)


def unchanged(connection: Connection, account: StaffAccount) -> bool:
    """Whether an account has the credentials that it had when it was read, and lock it: what ended ends what began."""
    now = _row(connection, _A.id == account.id, lock=True)
    same = now is not None and now.credentials_at == to_micros(account.credentials_at)
    return same and now is not None and now.disabled_at is None


def _row(connection: Connection, which: Any, *, lock: bool = False) -> Row[Any] | None:
    statement = select(staff_accounts).where(which)
    if lock:
        statement = statement.with_for_update()  # SQLite has no such clause, and SQLAlchemy writes none there
    return connection.execute(statement).one_or_none()


def _set(connection: Connection, staff_id: int, **values: Any) -> None:
    connection.execute(update(staff_accounts).where(_A.id == staff_id).values(**values))


def _locked(row: Row[Any], now: datetime) -> bool:
    return row.locked_until is not None and row.locked_until > to_micros(now)


def _closed(row: Row[Any], now: datetime) -> bool:
    """Whether no password opens this account: it is disabled, or its one-time password is over."""
    over = row.one_time_until is not None and row.one_time_until <= to_micros(now)
    return over or row.disabled_at is not None


def _actor(row: Row[Any]) -> Actor:
    return Actor(ActorKind.COORDINATOR, str(row.id))


def _required(account: StaffAccount | None) -> StaffAccount:
    if account is None:
        raise LookupError("there is no such account")
    return account


def _account(row: Row[Any]) -> StaffAccount:
    return StaffAccount(
        id=row.id,
        login=row.login,
        organisation=row.organisation,
        must_set_password=row.one_time_until is not None,
        credentials_at=from_micros(row.credentials_at),
        created_at=from_micros(row.created_at),
        last_login_at=maybe_instant(row.last_login_at),
        locked_until=maybe_instant(row.locked_until),
        disabled_at=maybe_instant(row.disabled_at),
    )

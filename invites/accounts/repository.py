"""Accounts and links in their rows. The caller brings the transaction, and has locked the record."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, Row, insert, select, text, update

from invites.accounts.key_wrap import WrappedKey
from invites.accounts.tables import ACTIVE, PENDING, account_links, accounts
from patient_records.instants import from_micros, to_micros
from patient_records.model import Masked
from patient_records.sealing import SealingKey
from patient_records.tables import patient_records
from patient_records.unit_of_work import POSTGRESQL

SEALED: Final = "accounts.sealed"
"""The place that an account's sealed part is bound to, beside its id."""

_A: Final = accounts.c
_L: Final = account_links.c


class Owner(Masked, Struct, frozen=True):
    """The sealed part of an account: the address as it was typed, and the language of the page."""

    email: str
    language: str


class Account(Masked, Struct, frozen=True):
    """One account as it stands in its row."""

    id: int
    record_id: int
    organisation: str
    state: str
    email_blind: bytes
    salt: bytes
    parameters: str
    wrapped_key: bytes
    sealed: bytes
    access_token_id: int

    @property
    def wrapped(self) -> WrappedKey:
        """The record key under the password."""
        return WrappedKey(self.id, self.salt, self.parameters, self.wrapped_key)

    def under(self, wrapped: WrappedKey) -> Account:
        """The same account with its key under another password."""
        changed = {"salt": wrapped.salt, "parameters": wrapped.parameters, "wrapped_key": wrapped.wrapped_key}
        return replace(self, **changed)

    def owner(self, record_key: SealingKey) -> Owner:
        """Open the sealed part. Raises SealBroken or msgspec.MsgspecError."""
        return _decode(record_key.open(self.sealed, SEALED, self.id))


class Link(Masked, Struct, frozen=True):
    """One mailed link as it stands in its row."""

    id: int
    account_id: int
    record_id: int
    purpose: str
    expires_at: datetime
    end_reason: str | None
    wrong_answers: int


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Owner).decode


def add_account(connection: Connection, account: Account, owner: Owner, record_key: SealingKey, now: datetime) -> None:
    """Insert an account."""
    connection.execute(
        insert(accounts).values(
            id=account.id,
            record_id=account.record_id,
            organisation=account.organisation,
            blind=account.email_blind,
            state=account.state,
            salt=account.salt,
            parameters=account.parameters,
            wrapped_key=account.wrapped_key,
            sealed=sealed_owner(owner, record_key, account.id),
            access_token_id=account.access_token_id,
            created_at=to_micros(now),
        )
    )


def sealed_owner(owner: Owner, record_key: SealingKey, account_id: int) -> bytes:
    """Seal what an account keeps of its owner."""
    return record_key.seal(_encode(owner), SEALED, account_id)


def active_by_email(connection: Connection, email_blind: bytes) -> Account | None:
    """The active account of that address."""
    return _account(connection.execute(_accounts().where(text(ACTIVE), _A.blind == email_blind)).one_or_none())


class Holding(Masked, Struct, frozen=True):
    """Who has an address: an active account, and whether its record is gone, so that the address is free."""

    account: Account
    gone: bool


def holding(connection: Connection, email_blind: bytes) -> Holding | None:
    """Who has that address."""
    account = active_by_email(connection, email_blind)
    if account is None:
        return None
    gone = patient_records.c.merged_into.is_not(None) | patient_records.c.deleted_at.is_not(None)
    statement = select(patient_records.c.id).where(patient_records.c.id == account.record_id, gone)
    return Holding(account, gone=connection.scalar(statement) is not None)


def active_by_record(connection: Connection, record_id: int) -> Account | None:
    """The active account of that record."""
    return _account(connection.execute(_accounts().where(text(ACTIVE), _A.record_id == record_id)).one_or_none())


def account_by_id(connection: Connection, account_id: int, *, lock: bool = False) -> Account | None:
    """An account that has not ended."""
    statement = _accounts().where(_A.id == account_id, _A.state != "ended")
    if lock and connection.dialect.name == POSTGRESQL:
        statement = statement.with_for_update()
    return _account(connection.execute(statement).one_or_none())


def activate(connection: Connection, account_id: int, now: datetime) -> None:
    """Make a pending account active. Raises, at once or at the commit, StorageConflict when its address has one."""
    mine = update(accounts).where(_A.id == account_id)
    connection.execute(mine.values(state="active", confirmed_at=to_micros(now)))


def set_key(connection: Connection, account: Account) -> None:
    """Store the record key under another password, or another record under the same."""
    mine = update(accounts).where(_A.id == account.id)
    connection.execute(
        mine.values(
            record_id=account.record_id,
            organisation=account.organisation,
            salt=account.salt,
            parameters=account.parameters,
            wrapped_key=account.wrapped_key,
            sealed=account.sealed,
        )
    )


def end_accounts(connection: Connection, account_ids: list[int], reason: str, now: datetime) -> None:
    """End these accounts and their links: their keys and addresses are deleted."""
    if account_ids:
        at = to_micros(now)
        ended = {"ended_at": at, "end_reason": reason}
        links = update(account_links).where(_L.account_id.in_(account_ids), _L.ended_at.is_(None))
        connection.execute(links.values(**ended))
        mine = update(accounts).where(_A.id.in_(account_ids))
        connection.execute(mine.values(state="ended", wrapped_key=None, sealed=None, **ended))


def pending_of(connection: Connection, record_id: int) -> list[int]:
    """The accounts of that record whose link was not used yet."""
    return list(connection.scalars(select(_A.id).where(text(PENDING), _A.record_id == record_id).order_by(_A.id)))


def add_link(connection: Connection, link: Link, lookup: bytes, now: datetime) -> None:
    """Insert a link."""
    connection.execute(
        insert(account_links).values(
            id=link.id,
            account_id=link.account_id,
            record_id=link.record_id,
            purpose=link.purpose,
            lookup=lookup,
            created_at=to_micros(now),
            expires_at=to_micros(link.expires_at),
            wrong_answers=0,
        )
    )


def link_by_lookup(connection: Connection, lookup: bytes) -> Link | None:
    """The link that carries this, whatever became of it."""
    return _link(connection.execute(select(account_links).where(_L.lookup == lookup)).one_or_none())


def link_by_id(connection: Connection, link_id: int) -> Link | None:
    """The link of that id, whatever became of it."""
    return _link(connection.execute(select(account_links).where(_L.id == link_id)).one_or_none())


def _link(row: Row[Any] | None) -> Link | None:
    if row is None:
        return None
    return Link(
        row.id,
        row.account_id,
        row.record_id,
        row.purpose,
        from_micros(row.expires_at),
        row.end_reason,
        row.wrong_answers,
    )


def end_links(connection: Connection, account_id: int, purpose: str, reason: str, now: datetime) -> None:
    """End all live links of an account for one purpose."""
    live = (_L.account_id == account_id, _L.purpose == purpose, _L.ended_at.is_(None))
    connection.execute(update(account_links).where(*live).values(ended_at=to_micros(now), end_reason=reason))


def count_wrong(connection: Connection, link_id: int, most: int, now: datetime) -> None:
    """Count a wrong date against a link; at ``most`` it ends."""
    mine = update(account_links).where(_L.id == link_id, _L.ended_at.is_(None))
    connection.execute(mine.values(wrong_answers=_L.wrong_answers + 1))
    over = update(account_links).where(_L.id == link_id, _L.wrong_answers >= most, _L.ended_at.is_(None))
    connection.execute(over.values(ended_at=to_micros(now), end_reason="wrong_dates"))


def _accounts() -> Any:
    return select(accounts)


def _account(row: Row[Any] | None) -> Account | None:
    if row is None:
        return None
    return Account(
        id=row.id,
        record_id=row.record_id,
        organisation=row.organisation,
        state=row.state,
        email_blind=bytes(row.blind),
        salt=bytes(row.salt),
        parameters=row.parameters,
        wrapped_key=bytes(row.wrapped_key or b""),
        sealed=bytes(row.sealed or b""),
        access_token_id=row.access_token_id,
    )

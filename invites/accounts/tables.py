"""Accounts of patients, and the links that are mailed to them.

In clear stands what queries need; the email address lies sealed under the record key, and is found by a keyed hash of
its own (not that of contact points, so that nobody can join the two). ``wrapped_key`` is the record key under the
password, ``salt`` and ``parameters`` are what its derivation needs beside it.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text, text

from patient_records.tables import metadata

_ID: Final = BigInteger().with_variant(Integer, "sqlite")

ACTIVE: Final = "state = 'active'"
PENDING: Final = "state = 'pending'"

accounts: Final = Table(
    "accounts",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("record_id", BigInteger, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("blind", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("parameters", Text, nullable=False),
    Column("wrapped_key", LargeBinary),
    Column("sealed", LargeBinary),
    Column("access_token_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("confirmed_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    Index("accounts_email", "blind", unique=True, sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE)),
    Index("accounts_record", "record_id", unique=True, sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE)),
    Index("accounts_pending", "record_id", sqlite_where=text(PENDING), postgresql_where=text(PENDING)),
)
"""``state`` is pending (the link in the mail was not used yet), active or ended. One address and one record have one
active account; pending ones prove nothing, so there may be several of either. Ended ones keep no key and no address."""

account_links: Final = Table(
    "account_links",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=False),
    Column("account_id", BigInteger, nullable=False),
    Column("record_id", BigInteger, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("lookup", LargeBinary, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("end_reason", Text),
    Column("wrong_answers", Integer, nullable=False),
    Index("account_links_account", "account_id"),
)
"""Links that were mailed: ``purpose`` is that of their outbox entry, ``lookup`` a keyed hash of what they carry."""

"""The table of staff accounts, on the same metadata as all others. Staff are not patients: their login is in clear."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from patient_records.tables import metadata

staff_accounts: Final = Table(
    "staff_accounts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("login", Text, nullable=False, unique=True),
    Column("organisation", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("one_time_until", BigInteger),
    Column("credentials_at", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("last_login_at", BigInteger),
    Column("disabled_at", BigInteger),
)
"""Every Team Coordinator's account, the disabled included: the audit trail names them by id. ``password_hash`` is
Argon2id under a secret of the key file; until ``one_time_until`` it is that of a one-time password. Sessions older
than ``credentials_at`` are over. ``failures`` counts tries since the last right one."""

staff_sessions: Final = Table(
    "staff_sessions",
    metadata,
    Column("session_hash", LargeBinary, primary_key=True),
    Column("staff_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Index("staff_sessions_staff", "staff_id"),
    Index("staff_sessions_seen", "seen_at"),
    sqlite_with_rowid=False,
)
"""Who is logged in. The text in the cookie is nowhere."""

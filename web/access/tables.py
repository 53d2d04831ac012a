"""The tables of those who call, on the same metadata as all others, so that one transaction spans what a call does.

All times are microseconds since 1970, UTC. Neither a secret nor a bearer can be read from these rows.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, Table, Text

from patient_records.tables import metadata

api_clients: Final = Table(
    "api_clients",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("client_id", Text, nullable=False, unique=True),
    Column("label", Text, nullable=False),
    Column("organisation", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("staff_id", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
    Index("api_clients_staff", "staff_id"),
)
"""Everybody who may ask for a bearer, the revoked included. ``label`` is the name that staff gave it; ``staff_id`` is
whose personal client it is (a Team Coordinator's), empty for a System Client; ``last_used_at`` is its last bearer's."""

bearers: Final = Table(
    "bearers",
    metadata,
    Column("bearer_hash", LargeBinary, primary_key=True),
    Column("api_client_id", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Index("bearers_expiry", "expires_at"),
    Index("bearers_client", "api_client_id"),
    sqlite_with_rowid=False,
)
"""Bearers that live, and those that expired and were not swept yet. The bearer itself is nowhere."""

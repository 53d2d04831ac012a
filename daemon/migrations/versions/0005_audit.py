"""The audit trail and its seals."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0005"
down_revision: Final = "0004"

ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor_kind", sa.Text, nullable=False),
        sa.Column("actor_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("record_id", sa.BigInteger),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("authentication", sa.LargeBinary, nullable=False),
        sa.Column("seal", sa.BigInteger),
    )
    op.create_index("audit_entries_seal", "audit_entries", ["seal", "id"])
    with_record = sa.text("record_id IS NOT NULL")
    op.create_index(
        "audit_entries_record",
        "audit_entries",
        ["record_id", "id"],
        sqlite_where=with_record,
        postgresql_where=with_record,
    )
    op.create_table(
        "audit_seals",
        sa.Column("number", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.Integer, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("authentication", sa.LargeBinary, nullable=False),
    )

"""Merges: who was merged into whom is asked for, and what a message did to several people is kept."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0003"
down_revision: Final = "0002"


def upgrade() -> None:
    merged = sa.text("merged_into IS NOT NULL")
    op.create_index(
        "patient_records_merged", "patient_records", ["merged_into"], sqlite_where=merged, postgresql_where=merged
    )
    op.create_table(
        "effects",
        sa.Column("journal_id", sa.BigInteger, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("other_id", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("effects_record", "effects", ["record_id", "journal_id"])

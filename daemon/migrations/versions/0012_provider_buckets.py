"""Token buckets of providers' rate limits, shared by all daemons."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0012"
down_revision: Final = "0011"


def upgrade() -> None:
    op.create_table(
        "provider_buckets",
        sa.Column("lane", sa.Text, primary_key=True),
        sa.Column("period", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("full_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )

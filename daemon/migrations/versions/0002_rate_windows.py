"""Limits that all daemons share: how often a subject did what is counted, until when."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0002"
down_revision: Final = "0001"


def upgrade() -> None:
    op.create_table(
        "rate_windows",
        sa.Column("rule", sa.Text, primary_key=True),
        sa.Column("blind", sa.LargeBinary, primary_key=True),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
        sa.Column("taken", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("rate_windows_end", "rate_windows", ["ends_at"])

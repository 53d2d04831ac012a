"""Senders' habits: sequence numbers that are missing, when each is heard, and who is silent against its habit."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0008"
down_revision: Final = "0007"


def upgrade() -> None:
    for name in ("last_sequence", "sequence_gaps", "sequence_missing", "last_gap_at"):
        op.add_column("senders", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "sender_slots",
        sa.Column("listener", sa.Text, primary_key=True),
        sa.Column("sender", sa.Text, primary_key=True),
        sa.Column("slot", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("daemon_id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("messages", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "sender_silences",
        sa.Column("listener", sa.Text, primary_key=True),
        sa.Column("sender", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("expected", sa.BigInteger, nullable=False),
        sa.Column("noticed_at", sa.BigInteger, nullable=False),
    )

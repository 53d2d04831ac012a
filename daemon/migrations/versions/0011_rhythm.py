"""When invitations go out, and how many: pauses, what a day has sent, the canary, reminders."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0011"
down_revision: Final = "0010"


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("everything", sa.Integer, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tallies",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("channel", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("started", sa.Integer, nullable=False),
        sa.Column("good", sa.Integer, nullable=False),
        sa.Column("bad", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "canaries",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("issued", sa.Integer, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("passed_at", sa.BigInteger),
        sa.Column("passed_by", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reminders",
        sa.Column("record_id", sa.BigInteger, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("decided_at", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "reminder_walks",
        sa.Column("organisation", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("through_at", sa.BigInteger, nullable=False),
        sa.Column("through_entry", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )

"""Staff accounts and their sessions."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0007"
down_revision: Final = "0006"

ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "staff_accounts",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("login", sa.Text, nullable=False, unique=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("one_time_until", sa.BigInteger),
        sa.Column("credentials_at", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_login_at", sa.BigInteger),
        sa.Column("disabled_at", sa.BigInteger),
    )
    op.create_table(
        "staff_sessions",
        sa.Column("session_hash", sa.LargeBinary, primary_key=True),
        sa.Column("staff_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("seen_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("staff_sessions_staff", "staff_sessions", ["staff_id"])
    op.create_index("staff_sessions_seen", "staff_sessions", ["seen_at"])

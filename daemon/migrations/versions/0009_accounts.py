"""Accounts of patients, their links, and sessions."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0009"
down_revision: Final = "0008"

ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    _accounts()
    op.create_table(
        "account_links",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("account_id", sa.BigInteger, nullable=False),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("lookup", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.Text),
        sa.Column("wrong_answers", sa.Integer, nullable=False),
    )
    op.create_index("account_links_account", "account_links", ["account_id"])
    op.create_table(
        "sessions",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("lookup", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.BigInteger),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.Column("began_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.Column("idle_ends_at", sa.BigInteger, nullable=False),
        sa.Column("ends_at", sa.BigInteger, nullable=False),
    )
    op.create_index("sessions_subject", "sessions", ["kind", "subject"])
    op.create_index("sessions_over", "sessions", ["idle_ends_at"])


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("blind", sa.LargeBinary, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("access_token_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("confirmed_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.Text),
    )
    op.create_index("accounts_email", "accounts", ["blind"], unique=True, **_only_where("state = 'active'"))
    op.create_index("accounts_record", "accounts", ["record_id"], unique=True, **_only_where("state = 'active'"))
    op.create_index("accounts_pending", "accounts", ["record_id"], **_only_where("state = 'pending'"))

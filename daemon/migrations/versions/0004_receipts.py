"""What providers say afterwards, and the contacts that it makes bad."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0004"
down_revision: Final = "0003"

ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_index(
        "outbox_provider_reference",
        "outbox",
        ["provider_reference"],
        **_only_where("provider_reference IS NOT NULL"),
    )
    op.create_table(
        "destinations",
        sa.Column("entry_id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("blind", sa.LargeBinary, nullable=False),
    )
    _receipts()
    _bad_contacts()


def _receipts() -> None:
    op.create_table(
        "receipts",
        sa.Column("entry_id", sa.BigInteger, primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("permanent", sa.Integer, primary_key=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sa.Column("repeats", sa.Integer, nullable=False),
        sa.Column("counts", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("receipts_counting", "receipts", ["channel", "state"], **_only_where("counts = 1"))
    op.create_index("receipts_failed", "receipts", ["channel", "received_at"], **_only_where("state = 'failed'"))
    op.create_table(
        "receipts_waiting",
        sa.Column("provider", sa.Text, primary_key=True),
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("ours", sa.Integer, primary_key=True),
        sa.Column("state", sa.Text, primary_key=True),
        sa.Column("permanent", sa.Integer, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("received_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("receipts_waiting_received", "receipts_waiting", ["received_at"])


def _bad_contacts() -> None:
    op.create_table(
        "bad_contacts",
        sa.Column("record_id", sa.BigInteger, primary_key=True),
        sa.Column("blind", sa.LargeBinary, primary_key=True),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("code", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("last_at", sa.BigInteger, nullable=False),
        sa.Column("bad_since", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "bad_contacts_channel", "bad_contacts", ["channel", "organisation"], **_only_where("bad_since IS NOT NULL")
    )

"""The outbox carries any message: what it is for, and no pair where it carries none.

SQLite cannot take NOT NULL from a column, so its table is made anew and filled; PostgreSQL changes the columns.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0006"
down_revision: Final = "0005"

ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_COLUMNS: Final = (
    "id, invitation_id, access_token_id, record_id, organisation, business_key, reference, channel, provider, state,"
    " code, due_at, lease_owner, lease_until, attempt, expires_at, sealed_payload, sealed_request, provider_reference,"
    " created_at, final_at"
)

_PURPOSE: Final = "coalesce((SELECT i.purpose FROM invitations i WHERE i.id = outbox.invitation_id), 'invitation')"
"""What an entry of 0001 is for: it always has an invitation that says so."""


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _make_anew()
    else:
        op.alter_column("outbox", "access_token_id", nullable=True)
        op.add_column("outbox", sa.Column("purpose", sa.Text))
        op.execute(f"UPDATE outbox SET purpose = {_PURPOSE}")
        op.alter_column("outbox", "purpose", nullable=False)


def _make_anew() -> None:
    op.create_table(
        "outbox_new",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("invitation_id", sa.BigInteger),
        sa.Column("access_token_id", sa.BigInteger),
        sa.Column("record_id", sa.BigInteger, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("business_key", sa.Text, nullable=False, unique=True),
        sa.Column("reference", sa.Text, nullable=False, unique=True),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("provider", sa.Text),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("code", sa.Text),
        sa.Column("due_at", sa.BigInteger),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("sealed_payload", sa.LargeBinary),
        sa.Column("sealed_request", sa.LargeBinary),
        sa.Column("provider_reference", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("final_at", sa.BigInteger),
        sa.Column("purpose", sa.Text, nullable=False),
    )
    op.execute(f"INSERT INTO outbox_new ({_COLUMNS}, purpose) SELECT {_COLUMNS}, {_PURPOSE} FROM outbox")
    op.drop_table("outbox")
    op.rename_table("outbox_new", "outbox")
    op.create_index("outbox_record", "outbox", ["record_id"])
    op.create_index("outbox_state", "outbox", ["channel", "state"])
    for name, columns, condition in (
        ("outbox_due", ["channel", "due_at"], "state = 'queued'"),
        ("outbox_unknown", ["channel", "due_at"], "state = 'unknown'"),
        ("outbox_leases", ["lease_until"], "state IN ('claimed', 'sending')"),
        ("outbox_expiry", ["expires_at"], "state IN ('queued', 'unknown')"),
        ("outbox_final", ["final_at"], "final_at IS NOT NULL"),
        ("outbox_provider_reference", ["provider_reference"], "provider_reference IS NOT NULL"),
    ):
        op.create_index(name, "outbox", columns, sqlite_where=sa.text(condition))

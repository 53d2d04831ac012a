"""Those who may call the API: clients, and the bearers that they get."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0010"
down_revision: Final = "0009"

ROW_ID: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "api_clients",
        sa.Column("id", ROW_ID, primary_key=True, autoincrement=False),
        sa.Column("client_id", sa.Text, nullable=False, unique=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("organisation", sa.Text, nullable=False),
        sa.Column("scope", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("staff_id", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("last_used_at", sa.BigInteger),
        sa.Column("revoked_at", sa.BigInteger),
    )
    op.create_index("api_clients_staff", "api_clients", ["staff_id"])
    op.create_table(
        "bearers",
        sa.Column("bearer_hash", sa.LargeBinary, primary_key=True),
        sa.Column("api_client_id", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("bearers_expiry", "bearers", ["expires_at"])
    op.create_index("bearers_client", "bearers", ["api_client_id"])

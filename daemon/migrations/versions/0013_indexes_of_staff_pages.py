"""Indexes of what staff see: all pairs of a person, locked pairs, and counts by organisation from an index alone."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision: Final = "0013"
down_revision: Final = "0012"


def _only_where(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    live, locked = _only_where("ended_at IS NULL"), _only_where("end_reason IN ('wrong_dates', 'disowned')")
    op.drop_index("access_tokens_live", "access_tokens")
    op.create_index("access_tokens_record", "access_tokens", ["record_id"])
    op.drop_index("access_tokens_expiry", "access_tokens")
    op.create_index("access_tokens_expiry", "access_tokens", ["expires_at", "organisation", "ended_at"], **live)
    op.create_index("access_tokens_locked", "access_tokens", ["organisation", "ended_at"], **locked)
    op.drop_index("outbox_state", "outbox")
    op.create_index("outbox_state", "outbox", ["channel", "state", "organisation"])

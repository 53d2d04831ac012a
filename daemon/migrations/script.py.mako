"""${message}.

Add the revision to ``REVISIONS`` in ``daemon/migrate.py``. It runs on SQLite and PostgreSQL, in one transaction, and
there is no way down: a backup is the way back.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision: Final = ${repr(up_revision)}
down_revision: Final = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}

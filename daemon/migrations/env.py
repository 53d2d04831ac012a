"""What alembic runs: our own connection, in the transaction that :mod:`daemon.migrate` opened on it.

There is no ``alembic.ini`` and no way to give a URL: a migration happens under the lock and in the one transaction of
:func:`daemon.migrate.migrate`, or not at all.
"""

from __future__ import annotations

from alembic import context

import invites.accounts.tables
import invites.tables  # noqa: F401 (puts its tables on the metadata)
import web.access.tables
import web.ops.tables  # noqa: F401 (likewise)
from patient_records.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()

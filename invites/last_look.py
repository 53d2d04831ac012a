"""The last look before a call: nobody paused, and what was marked still stands.

A batch is marked *sending* in one commit, and its last call may begin minutes later, behind a provider that is slow.
Whatever is committed between the two (a death, a merge, a hold, another number, a pair taken back) must still stop the
message. So each call asks first, and for a batch all who ask within :data:`~invites.pauses.FRESH` seconds share one
query; a batch that is called faster than that asks none. What does not stand any more is not begun: it is queued again,
and the re-check says what becomes of it. A call that has begun cannot be called back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial

from sqlalchemy import Connection, or_, select

from invites.invitation import EntryState
from invites.outbox import OutboxEntry
from invites.pauses import FRESH, Brake
from invites.tables import access_tokens, outbox
from patient_records.errors import RecordsError
from patient_records.tables import patient_records
from patient_records.unit_of_work import Database


class LastLook:
    """Looks after the messages of one batch that were marked; serves all threads of a lane."""

    def __init__(
        self,
        database: Database,
        brake: Brake,
        elapsed: Callable[[], float],
        versions: Mapping[int, int],
        marked_at: float,
    ) -> None:
        """``versions`` are those of the records by entry, as they were when ``elapsed`` said ``marked_at``."""
        self._database = database
        self._brake = brake
        self._versions = versions
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._stands: Mapping[int, int] = versions
        self._looked_at = marked_at

    def before(self, entry: OutboxEntry) -> Callable[[], bool]:
        """Give the question whether the call for this entry may begin."""
        return partial(self._allows, entry)

    def _allows(self, entry: OutboxEntry) -> bool:
        invitation = entry.invitation_id is not None
        if not self._brake.allows(entry.organisation, entry.channel, invitation=invitation):
            return False
        return self._seen().get(entry.id) == self._versions[entry.id]

    def _seen(self) -> Mapping[int, int]:
        """Which entries stand, with the versions of their records; none while that cannot be read."""
        with self._lock:
            now = self._elapsed()
            if now - self._looked_at >= FRESH:
                try:
                    with self._database.read() as connection:
                        self._stands = standing(connection, self._versions)
                except RecordsError:
                    self._stands = {}
                self._looked_at = now
            return self._stands


def standing(connection: Connection, entry_ids: Mapping[int, int]) -> dict[int, int]:
    """Those of these entries that are being sent and whose pair lives, if they carry one; with the record's version."""
    o, pair = outbox.c, access_tokens.c
    rows = connection.execute(
        select(o.id, patient_records.c.version)
        .join_from(outbox, patient_records, patient_records.c.id == o.record_id)
        .join(access_tokens, pair.id == o.access_token_id, isouter=True)
        .where(
            o.id.in_(list(entry_ids)),
            o.state == EntryState.SENDING.value,
            or_(o.access_token_id.is_(None), pair.ended_at.is_(None)),
        )
    )
    return {row.id: row.version for row in rows}

"""What stands still, and the brake that every daemon feels within a second (SPEC 5.4).

A pause is a row. It stops invitations and reminders of its organisation and channel (empty: all of either) from being
issued and from being sent, or with ``everything`` every message: the kill switch. A lane asks twice: in the transaction
that claims and the one that marks, and, by :class:`Brake`, before each single call of a provider (in its
:mod:`~invites.last_look`). What was marked and not called then is certainly not sent and is queued again. A call that
has begun cannot be called back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from invites.tables import pauses
from patient_records.errors import RecordsError
from patient_records.instants import from_micros, to_micros
from patient_records.unit_of_work import POSTGRESQL, Database

OPERATOR: Final = "operator"
THRESHOLD: Final = "threshold"

FRESH: Final = 0.5
"""Seconds for which a look at the pauses is believed: the brake takes hold within twice that."""

_KEY: Final = ("organisation", "channel")


class Pause(Struct, frozen=True):
    """One pause; ``organisation`` and ``channel`` are empty for all."""

    organisation: str
    channel: str
    everything: bool
    origin: str
    reason: str
    since: datetime

    def covers(self, organisation: str, channel: str, *, invitation: bool) -> bool:
        """Whether it stops a message of that organisation by that channel."""
        mine = self.organisation in ("", organisation) and self.channel in ("", channel)
        return mine and (invitation or self.everything)


def in_force(connection: Connection) -> list[Pause]:
    """Every pause there is, by organisation and channel."""
    every = pauses.c.organisation >= ""  # a search of the key, in the plan as well: this is asked again and again
    rows = connection.execute(select(pauses).where(every).order_by(pauses.c.organisation, pauses.c.channel))
    return [
        Pause(row.organisation, row.channel, bool(row.everything), row.origin, row.reason, from_micros(row.since))
        for row in rows
    ]


def put(connection: Connection, pause: Pause) -> None:
    """Pause; what was paused for that organisation and channel before is replaced, but a kill switch stays one."""
    connection.execute(_add(connection, pause).on_conflict_do_update(index_elements=_KEY, set_=_replaced(pause)))


def put_if_none(connection: Connection, pause: Pause) -> bool:
    """Pause unless somebody did, a moment ago perhaps: theirs may stop more, and stays; gives whether it was put."""
    connection.execute(_add(connection, pause).on_conflict_do_nothing(index_elements=_KEY))
    return pause in in_force(connection)


def _add(connection: Connection, pause: Pause) -> postgresql.Insert | sqlite.Insert:
    insert = postgresql.insert if connection.dialect.name == POSTGRESQL else sqlite.insert
    return insert(pauses).values(organisation=pause.organisation, channel=pause.channel, **_values(pause))


def _values(pause: Pause) -> dict[str, object]:
    return {
        "everything": int(pause.everything),
        "origin": pause.origin,
        "reason": pause.reason,
        "since": to_micros(pause.since),
    }


def _replaced(pause: Pause) -> dict[str, object]:
    """The new values, ``everything`` only ever more: the one way to less is to resume."""
    values = _values(pause)
    return values if pause.everything else {name: value for name, value in values.items() if name != "everything"}


def lift(connection: Connection, organisation: str, channel: str) -> bool:
    """End the pause of just that organisation and channel; gives whether there was one."""
    mine = (pauses.c.organisation == organisation, pauses.c.channel == channel)
    return connection.execute(delete(pauses).where(*mine)).rowcount > 0


class Brake:
    """Says before each call whether it may begin. One object serves all threads of a lane."""

    def __init__(self, database: Database, elapsed: Callable[[], float]) -> None:
        """``elapsed`` gives seconds of a clock that never goes back."""
        self._database = database
        self._elapsed = elapsed
        self._lock = threading.Lock()
        self._seen: Sequence[Pause] | None = None
        self._looked_at = float("-inf")

    def allows(self, organisation: str, channel: str, *, invitation: bool) -> bool:
        """Whether such a message may go out now; not while the pauses cannot be read, nor could its answer be kept."""
        seen = self._pauses()
        return seen is not None and not any(p.covers(organisation, channel, invitation=invitation) for p in seen)

    def _pauses(self) -> Sequence[Pause] | None:
        with self._lock:
            now = self._elapsed()
            if now - self._looked_at >= FRESH:
                try:
                    with self._database.read() as connection:
                        self._seen = in_force(connection)
                except RecordsError:
                    self._seen = None
                self._looked_at = now
            return self._seen

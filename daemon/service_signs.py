"""What the ops page shows to staff of one organisation: the vital signs, of theirs alone where they are anybody's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, func, select

from daemon import vital_signs
from daemon.settings import Settings
from daemon.vital_signs import DaemonSigns, SenderSigns
from invites import overview
from invites.tables import access_tokens, outbox
from patient_records import tables
from patient_records.instants import maybe_instant
from patient_records.quarantine import WAITING

_WAITING_STATES: Final = ("queued", "claimed", "sending")


class ServiceSigns(Struct, frozen=True):
    """Everything that the page shows. Rates are all organisations' together: the daemon is one."""

    organisation_name: str
    messages_per_second_1m: float
    messages_per_second_5m: float
    people: dict[str, int]
    entries: dict[str, dict[str, int]]
    waiting: int
    oldest_waiting: datetime | None
    live_pairs: int
    quarantine_waiting: int
    senders: list[SenderSigns]
    daemons: list[DaemonSigns]


class ServiceReader:
    """Reads the signs for an organisation."""

    def __init__(self, settings: Settings) -> None:
        self._names: Mapping[str, str] = {one.code: one.name for one in settings.all_organisations}
        self._listeners = {listener.name: listener.organisation for listener in settings.listeners}

    def __call__(self, connection: Connection, organisation: str, now: datetime) -> ServiceSigns:
        """Read them as of ``now`` (the database's clock)."""
        alone = len(self._names) == 1  # an index knows the states; whose they are costs a look at every row
        entries = overview.entries_by_state(connection) if alone else _entries(connection, organisation)
        theirs = (outbox.c.organisation == organisation, outbox.c.state.in_(_WAITING_STATES))
        signs = vital_signs.flow(connection, now)
        return ServiceSigns(
            organisation_name=self._names.get(organisation, organisation),
            messages_per_second_1m=signs.messages_per_second_1m,
            messages_per_second_5m=signs.messages_per_second_5m,
            people=overview.people_by_state(connection, organisation),
            entries=entries,
            waiting=sum(states.get(state, 0) for states in entries.values() for state in _WAITING_STATES),
            oldest_waiting=maybe_instant(connection.scalar(select(func.min(outbox.c.created_at)).where(*theirs))),
            live_pairs=_live_pairs(connection, organisation),
            quarantine_waiting=_quarantined(connection, organisation),
            senders=[one for one in signs.senders if self._is_theirs(one, organisation)],
            daemons=signs.daemons,
        )

    def _is_theirs(self, sender: SenderSigns, organisation: str) -> bool:
        return self._listeners.get(sender.listener, organisation) == organisation


def _entries(connection: Connection, organisation: str) -> dict[str, dict[str, int]]:
    grouped = (
        select(outbox.c.channel, outbox.c.state, func.count())
        .where(outbox.c.organisation == organisation)
        .group_by(outbox.c.channel, outbox.c.state)
        .order_by(outbox.c.channel, outbox.c.state)
    )
    entries: dict[str, dict[str, int]] = {}
    for channel, state, count in connection.execute(grouped):
        entries.setdefault(channel, {})[state] = count
    return entries


def _live_pairs(connection: Connection, organisation: str) -> int:
    live = (access_tokens.c.ended_at.is_(None), access_tokens.c.organisation == organisation)
    return connection.scalar(select(func.count()).select_from(access_tokens).where(*live)) or 0


def _quarantined(connection: Connection, organisation: str) -> int:
    waiting = (
        select(func.count())
        .select_from(tables.quarantine)
        .join(tables.journal, tables.journal.c.id == tables.quarantine.c.journal_id)
        .where(tables.quarantine.c.state == WAITING, tables.journal.c.organisation == organisation)
    )
    return connection.scalar(waiting) or 0

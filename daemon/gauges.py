"""Gauges that are read from the database: the outbox by state, its oldest due entry, the quarantine."""

from __future__ import annotations

from sqlalchemy import func, select

from daemon.bootstrap import House, utc_now
from invites.tables import outbox
from patient_records.instants import to_micros
from patient_records.journal import WAITING
from patient_records.tables import quarantine


def refresh(house: House) -> None:
    """Read them anew. Raises :class:`StorageUnavailable`."""
    now = to_micros(utc_now())
    with house.database.read() as connection:
        states = connection.execute(select(outbox.c.state, func.count()).group_by(outbox.c.state)).all()
        oldest = connection.scalar(
            select(func.min(outbox.c.due_at)).where(outbox.c.state == "queued", outbox.c.due_at <= now)
        )
        waiting = connection.scalar(select(func.count()).where(quarantine.c.state == WAITING))
    house.metrics.outbox_entries.clear()
    for state, count in states:
        house.metrics.outbox_entries.labels(state).set(count)
    house.metrics.outbox_oldest_seconds.set((now - oldest) / 1e6 if oldest else 0)
    house.metrics.quarantine_waiting.set(waiting or 0)

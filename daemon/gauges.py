"""Gauges that are read from the database: the outbox by state, its oldest due entry, the quarantine.

Counting is a walk of an index, about a tenth of a second for a million entries. It is done by a reader, and no more
often than anybody scrapes.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from daemon.metrics import Metrics
from invites import overview
from invites.invitation import EntryState
from patient_records.quarantine import WAITING
from patient_records.tables import quarantine
from patient_records.unit_of_work import Database

EVERY: Final = timedelta(seconds=30)
"""How old the numbers may be: Prometheus asks every 15 to 60 seconds."""


class Gauges:
    """Keeps those metrics up to date, however often it is asked to."""

    def __init__(self, database: Database, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._metrics = metrics
        self._monotonic = monotonic
        self._due = monotonic()

    def refresh(self) -> None:
        """Read them anew if they are 30 seconds old. Raises :class:`StorageUnavailable`."""
        if self._monotonic() < self._due:
            return
        with self._database.read() as connection:
            now = self._database.now(connection)
            by_channel = overview.entries_by_state(connection)
            oldest = overview.longest_due(connection, now)
            waiting = connection.scalar(select(func.count()).where(quarantine.c.state == WAITING))
        counts: Counter[str] = Counter()
        for states in by_channel.values():
            counts.update(states)
        for state in EntryState:  # each one is set, the absent ones to 0: a scrape in between never misses any
            self._metrics.outbox_entries.labels(state.value).set(counts[state.value])
        self._metrics.outbox_oldest_seconds.set((now - oldest).total_seconds() if oldest else 0)
        self._metrics.quarantine_waiting.set(waiting or 0)
        self._due = self._monotonic() + EVERY.total_seconds()

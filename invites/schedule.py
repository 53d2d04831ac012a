"""The clock: the only file that knows APScheduler 3.x (SPEC 5.5).

APScheduler is used as an alarm clock and nothing more. It keeps its jobs in memory, and a job says only "look whether
something is due": every due time is in our tables. So a restart forgets nothing, a second daemon doubles nothing, and a
tick that was missed or fell together with another (``coalesce``, one instance at a time, no grace time that would drop
one) is made good by the next. Each lane of the dispatcher is a job of its own, so that one channel's slow provider
delays no other's.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.memory import MemoryJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from msgspec import Struct

Stopping = Callable[[], bool]
"""A job asks this between its transactions, and ends early when it says so."""


class Job(Struct, frozen=True):
    """Something to be looked at every so often; ``work`` gives a report, or raises."""

    name: str
    every: timedelta
    work: Callable[[Stopping], object]


class Schedule:
    """Runs jobs, each in a thread of its own and one instance at a time, until stopped."""

    def __init__(
        self,
        jobs: list[Job],
        *,
        on_report: Callable[[str, object], None] = lambda _name, _report: None,
        on_error: Callable[[str, Exception], None],
    ) -> None:
        """``on_report`` hears what each run did, ``on_error`` what it raised; both are called from the job's thread."""
        self._jobs: Mapping[str, Job] = {job.name: job for job in jobs}
        self._on_report = on_report
        self._on_error = on_error
        self._stop = threading.Event()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a tick that finds its job running is no news
        self._scheduler: Any = BackgroundScheduler(
            jobstores={"default": MemoryJobStore()},
            executors={"default": ThreadPoolExecutor(max(1, len(jobs)))},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
            timezone=UTC,
        )

    @property
    def names(self) -> list[str]:
        """The names of its jobs."""
        return list(self._jobs)

    def start(self) -> None:
        """Start: each job runs at once, and then every so often."""
        for job in self._jobs.values():
            self._scheduler.add_job(
                self._run,
                "interval",
                args=[job],
                id=job.name,
                seconds=job.every.total_seconds(),
                next_run_time=datetime.now(UTC),
            )
        self._scheduler.start()

    def kick(self, *names: str) -> None:
        """Have these jobs (all, when none is named) run now rather than at their next tick."""
        if self._stop.is_set():
            return
        for name in names or self._jobs:
            self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def stop(self, deadline: float) -> bool:
        """Stop: no new run, and at most ``deadline`` seconds for those under way; gives whether all ended in time."""
        self._stop.set()
        if not self._scheduler.running:
            return True
        self._scheduler.pause()
        ending = threading.Thread(target=self._scheduler.shutdown, kwargs={"wait": True}, daemon=True)
        ending.start()
        ending.join(deadline)
        return not ending.is_alive()

    def _run(self, job: Job) -> None:
        if self._stop.is_set():
            return
        try:
            report = job.work(self._stop.is_set)
        except Exception as error:  # noqa: BLE001 (one failed run must not end the clock: it is told and tried again)
            self._on_error(job.name, error)
        else:
            self._on_report(job.name, report)

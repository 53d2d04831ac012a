"""What the scheduler runs, and what is counted and logged of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from daemon.bootstrap import House
from daemon.metrics import Metrics
from invites.dispatch import Dispatch, DispatchReport
from invites.issue import IssueReport
from invites.schedule import Job, Schedule
from invites.sweep import SweepReport
from patient_records.errors import StorageConflict, StorageUnavailable

LOOK_FOR_WORK: Final = timedelta(seconds=1)
"""How often each lane looks whether something is due: one indexed query that finds nothing."""

SWEEP: Final = timedelta(seconds=30)


def schedule(house: House, dispatches: Sequence[Dispatch]) -> Schedule:
    """The clock with its jobs: invite, one dispatch for each lane, sweep."""
    keeper = _Keeper(house.metrics)
    lanes = [
        Job(f"dispatch-{lane.channel.kind}", LOOK_FOR_WORK, dispatch.run)
        for lane, dispatch in zip(house.lanes, dispatches, strict=True)
    ]
    invite = Job("invite", house.settings.invitations.every, lambda stopping: house.issue.run(stopping=stopping))
    clock = Schedule(
        [invite, *lanes, Job("sweep", SWEEP, house.sweep.run)], on_report=keeper.report, on_error=keeper.error
    )
    keeper.lanes = tuple(job.name for job in lanes)
    keeper.clock = clock
    return clock


class _Keeper:
    """Counts and logs what jobs did; a run that did nothing is not news."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._log = structlog.get_logger("schedule")
        self.clock: Schedule | None = None
        self.lanes: tuple[str, ...] = ()

    def report(self, job: str, report: object) -> None:
        if isinstance(report, IssueReport):
            self._issued(report)
        elif isinstance(report, DispatchReport):
            self._dispatched(job.removeprefix("dispatch-"), report)
        elif isinstance(report, SweepReport) and (report.lapsed or report.entries or report.pairs):
            self._log.info("swept", count=report.lapsed + report.entries + report.pairs)

    def error(self, job: str, error: Exception) -> None:
        self._metrics.internal_errors.labels(job).inc()
        if isinstance(error, StorageUnavailable | StorageConflict):
            self._log.warning("job_waits_for_storage", state=job, error_code=error.code)
        else:
            self._log.error("job_failed", state=job, exc_info=error)

    def _issued(self, report: IssueReport) -> None:
        for channel, count in report.issued.items():
            self._metrics.invitations_issued.labels(channel).inc(count)
            self._log.info("invited", channel=channel, count=count)
        if report.issued and self.clock is not None:
            self.clock.kick(*self.lanes)

    def _dispatched(self, channel: str, report: DispatchReport) -> None:
        for outcome, count in report.outcomes.items():
            self._metrics.deliveries.labels(channel, outcome).inc(count)
            self._log.info("delivered", channel=channel, outcome=outcome, count=count)
        for reason, count in report.dropped.items():
            self._log.info("not_delivered", channel=channel, reason=reason, count=count)

"""What the scheduler runs, and what is counted and logged of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import structlog

from daemon import tidying
from daemon.audit_sealing import SealReport
from daemon.bootstrap import House, utc_now
from daemon.letter_delivery import return_files
from daemon.metrics import Metrics
from daemon.receiving import receipt_jobs
from invites.accounts.noted_answers import WRITTEN_EVERY
from invites.assembly import DISPATCH
from invites.channels.bounce_folder import BounceReport
from invites.channels.receipt_poll import PollReport
from invites.dispatch import DispatchReport
from invites.issue import IssueReport
from invites.return_files import ReturnsReport
from invites.schedule import Job, Schedule
from invites.sweep import SweepReport
from patient_records.errors import StorageConflict, StorageUnavailable

_SEAL_EVERY: Final = timedelta(seconds=5)
"""How long an entry of the audit trail may stay unsealed: until then nothing shows that it was taken away."""

_RETURNS_EVERY: Final = timedelta(seconds=30)
"""How long a print house's return file may lie unread."""

_UPKEEP_EVERY: Final = timedelta(minutes=5)
"""How long a session, a limit's window or a pending account may lie there after its end; none is any good by then."""


def schedule(house: House) -> Schedule:
    """The clock with the jobs of ``invites`` and ``accounts``, the trail's sealing, tidying, and return files."""
    keeper = _Keeper(house.metrics)
    jobs = [
        *house.invites.jobs(house.settings.invitations.every),
        *receipt_jobs(house.settings, house.database, house.invites.receipts, house.carriers.polled, utc_now),
        Job("audit_seal", _SEAL_EVERY, house.audit_sealing),
        Job("tidy", tidying.EVERY, tidying.Tidying(house.database)),
        Job("upkeep", _UPKEEP_EVERY, house.accounts.upkeep.run),
        Job("challenges", WRITTEN_EVERY, house.accounts.noted.run),
    ]
    returns = return_files(house.settings, house.invites.receipts.take, utc_now)
    if returns is not None:
        jobs.append(Job("returns", _RETURNS_EVERY, returns.run))
    clock = Schedule(jobs, on_report=keeper.report, on_error=keeper.error)
    keeper.lanes = tuple(job.name for job in jobs if job.name.startswith(DISPATCH))
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
            self._dispatched(job.removeprefix(DISPATCH), report)
        elif isinstance(report, SealReport):
            self._sealed(report)
        elif isinstance(report, PollReport) and report.receipts:
            self._log.info("receipts_polled", count=report.receipts)
        elif isinstance(report, BounceReport):
            self._bounced(report)
        elif isinstance(report, SweepReport) and (report.lapsed or report.entries or report.pairs):
            self._log.info("swept", count=report.lapsed + report.entries + report.pairs)

        elif isinstance(report, ReturnsReport) and report.files:
            self._log.info("return_files_read", count=report.receipts)
            if report.faults or report.unmatched:
                self._log.warning("return_lines_not_used", count=report.faults + report.unmatched)

    def _bounced(self, report: BounceReport) -> None:
        if report.bounces or report.others:
            self._log.info("bounces_read", count=report.bounces)
        if report.unreadable:
            self._log.warning("bounces_not_readable", count=report.unreadable)

    def error(self, job: str, error: Exception) -> None:
        name = job.replace(":", "_")
        self._metrics.internal_errors.labels(name).inc()
        if isinstance(error, StorageUnavailable | StorageConflict):
            self._log.warning("job_waits_for_storage", state=name, error_code=error.code)
        else:
            self._log.error("job_failed", state=name, exc_info=error)

    def _sealed(self, report: SealReport) -> None:
        if not report.whole:
            self._log.error("audit_head_lost", next="The audit trail was cut off or put back: doorstep audit verify")
        elif report.sealed and report.head is not None:
            self._log.info("audit_sealed", head=f"{report.head.number}:{report.head.hash}")

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
        batch = report.handed_over
        if batch is not None and batch.code:
            self._log.warning("batch_not_closed", channel=channel, error_code=batch.code)
        elif batch is not None:
            self._log.info("batch_closed", channel=channel, letter_batch=batch.batch, count=batch.letters)

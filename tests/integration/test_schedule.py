from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from invites.schedule import Job, Schedule, Stopping

HOUR = timedelta(hours=1)


@pytest.fixture
def errors() -> list[tuple[str, Exception]]:
    return []


@pytest.fixture
def schedules() -> Iterator[list[Schedule]]:
    made: list[Schedule] = []
    yield made
    for schedule in made:
        schedule.stop(60)


def started(schedules: list[Schedule], jobs: list[Job], errors: list[tuple[str, Exception]]) -> Schedule:
    schedule = Schedule(jobs, on_error=lambda name, error: errors.append((name, error)))
    schedules.append(schedule)
    schedule.start()
    return schedule


def test_each_job_runs_at_once_and_again_when_kicked(
    schedules: list[Schedule], errors: list[tuple[str, Exception]]
) -> None:
    ran = threading.Semaphore(0)
    schedule = started(schedules, [Job("dispatch", HOUR, lambda _: ran.release())], errors)
    assert ran.acquire(timeout=60)
    # A kick that meets the run under way is left to the next tick, so it is repeated here until one is heard.
    for _ in range(600):
        schedule.kick("dispatch")
        if ran.acquire(timeout=0.1):
            break
    else:
        pytest.fail("never kicked")
    assert errors == []


def test_a_job_that_fails_is_told_and_runs_again(
    schedules: list[Schedule], errors: list[tuple[str, Exception]]
) -> None:
    ran = threading.Semaphore(0)
    fails = iter([True])

    def work(_: Stopping) -> None:
        ran.release()
        if next(fails, False):
            raise ZeroDivisionError

    started(schedules, [Job("sweep", timedelta(milliseconds=10), work)], errors)
    for _ in range(3):
        assert ran.acquire(timeout=60)
    assert [(name, type(error)) for name, error in errors] == [("sweep", ZeroDivisionError)]


def test_one_job_that_hangs_holds_up_no_other_and_stop_keeps_its_deadline(
    schedules: list[Schedule], errors: list[tuple[str, Exception]]
) -> None:
    release, other = threading.Event(), threading.Semaphore(0)

    def hang(_: Stopping) -> None:
        release.wait(60)

    jobs = [Job("slow", HOUR, hang), Job("quick", timedelta(milliseconds=10), lambda _: other.release())]
    schedule = started(schedules, jobs, errors)
    for _ in range(3):
        assert other.acquire(timeout=60)
    assert schedule.stop(0.01) is False
    release.set()


def test_a_job_under_way_is_asked_to_stop_and_waited_for(
    schedules: list[Schedule], errors: list[tuple[str, Exception]]
) -> None:
    under_way, ended = threading.Event(), threading.Event()

    def work(stopping: Stopping) -> None:
        under_way.set()
        while not stopping():
            threading.Event().wait(0.001)
        ended.set()

    schedule = started(schedules, [Job("invite", HOUR, work)], errors)
    assert under_way.wait(60)
    assert schedule.stop(60) is True
    assert ended.is_set()
    schedule.kick()

"""The real checking process: ended in the middle, stuck, started too often, left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hl7_listener.conformance_process import MOST_STARTS, CheckFailed, CheckingProcess
from hl7_listener.finding import Finding
from tests.support.patience import eventually
from tests.support.settled import FAULTY, GOOD

MISSING = (Finding("missing_required", "PID-3"),)
GENEROUS = timedelta(seconds=120)

STUCK = """
import signal, sys
from pathlib import Path
from hl7_listener import conformance, conformance_worker
real = conformance.check
def check(raw, *, charset=None, profiles=()):
    if b"FOREVER" in raw:
        Path(sys.argv[1]).touch()
        while True:
            signal.pause()
    return real(raw, charset=charset, profiles=profiles)
conformance.check = check
conformance_worker.main()
"""
"""The checking process, with one message that it never comes to an end with."""
FOREVER = GOOD.replace("Lovelace", "FOREVER").encode()

ORPHAN = """
import os, signal, time
from hl7_listener.conformance_process import CheckingProcess
process = CheckingProcess(time.monotonic)
process.check(b"MSH|", "utf-8")
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Exists when the process has begun with the message that has no end."""
    return tmp_path / "begun"


@pytest.fixture
def process(begun: Path) -> Iterator[CheckingProcess]:
    made = CheckingProcess(time.monotonic, GENEROUS, (sys.executable, "-c", STUCK, str(begun)))
    yield made
    made.close()


def pid_of(process: CheckingProcess) -> int:
    assert process.pid is not None
    return process.pid


def failing(process: CheckingProcess, raw: bytes) -> tuple[threading.Thread, list[str]]:
    """Check in a thread; the list gets the code of its failure."""
    codes: list[str] = []

    def check() -> None:
        with pytest.raises(CheckFailed) as failed:
            process.check(raw, "utf-8")
        codes.append(failed.value.code)

    thread = threading.Thread(target=check)
    thread.start()
    return thread, codes


def test_it_starts_with_the_first_message_and_stays() -> None:
    process = CheckingProcess(time.monotonic, GENEROUS)
    assert process.pid is None
    assert process.check(FAULTY.encode(), "utf-8") == MISSING
    pid = process.pid
    assert process.check(GOOD.encode(), "utf-8") == ()
    assert process.pid == pid
    assert process.starts == 1
    process.close()


def test_a_message_that_takes_for_ever_is_abandoned_and_the_next_is_checked(process: CheckingProcess) -> None:
    process.check(GOOD.encode(), "utf-8")
    process._deadline = 0.05
    with pytest.raises(CheckFailed, match="late"):
        process.check(FOREVER, "utf-8")
    process._deadline = GENEROUS.total_seconds()
    assert process.check(FAULTY.encode(), "utf-8") == MISSING
    assert process.starts == 2


def test_killed_in_the_middle_it_is_replaced(process: CheckingProcess, begun: Path) -> None:
    thread, codes = failing(process, FOREVER)
    eventually(begun.exists, "the check to begin")
    os.kill(pid_of(process), signal.SIGKILL)
    thread.join()
    assert codes == ["ended"]
    assert process.check(FAULTY.encode(), "utf-8") == MISSING


def test_killed_between_two_messages_it_costs_one_of_them(process: CheckingProcess) -> None:
    process.check(GOOD.encode(), "utf-8")
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(CheckFailed, match="ended"):
        process.check(GOOD.encode(), "utf-8")
    assert process.check(FAULTY.encode(), "utf-8") == MISSING


def test_ended_from_another_thread_it_stays_ended(process: CheckingProcess, begun: Path) -> None:
    thread, codes = failing(process, FOREVER)
    eventually(begun.exists, "the check to begin")
    process.end()
    thread.join()
    assert codes == ["ended"]
    with pytest.raises(CheckFailed, match="ended"):
        process.check(GOOD.encode(), "utf-8")
    assert process.starts == 1


def test_one_that_always_fails_is_started_a_few_times_a_minute() -> None:
    now = [0.0]
    process = CheckingProcess(lambda: now[0], GENEROUS, (sys.executable, "-c", ""))

    def code() -> str:
        with pytest.raises(CheckFailed) as failed:
            process.check(GOOD.encode(), "utf-8")
        return failed.value.code

    assert [code() for _ in range(MOST_STARTS + 2)] == ["ended"] * MOST_STARTS + ["resting"] * 2
    now[0] = 60.0
    assert code() == "ended"


def test_a_program_that_is_not_there_is_a_failed_check() -> None:
    process = CheckingProcess(time.monotonic, GENEROUS, ("/nowhere/python",))
    with pytest.raises(CheckFailed, match="ended"):
        process.check(GOOD.encode(), "utf-8")


def gone(pid: int) -> Callable[[], bool]:
    """Whether a process has ended; one that nobody has waited for counts."""

    def look() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except OSError:
            return True

    return look


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are looked at in /proc")
def test_it_ends_when_its_daemon_is_killed() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert eventually(gone(int(done.stdout)), "the orphan to end")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked at in /proc")
def test_it_is_modest_and_knows_no_secret(process: CheckingProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOORSTEP_DATABASE__URL", "postgresql://user:secret@db/doorstep")
    process.check(GOOD.encode(), "utf-8")
    place = Path(f"/proc/{process.pid}")
    assert b"secret" not in (place / "environ").read_bytes()
    assert {str((place / "fd" / output).readlink()) for output in "12"} == {os.devnull}
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, pid_of(process)) == min(mine + 10, 19)
    assert "Max core file size" in (limits := (place / "limits").read_text())
    assert next(line for line in limits.splitlines() if line.startswith("Max core")).split()[4] == "0"

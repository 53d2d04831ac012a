"""SIGTERM under load: what was read is committed and answered, then the daemon ends in good order."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import Wire, msa
from tests.support.patience import eventually
from tests.support.senders import Senders
from tests.support.store import Store


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
def test_a_drain_under_load_loses_nothing_and_ends_with_0(
    tmp_path: Path, backend: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgres_url") if backend == "postgresql" else None
    daemon = DaemonProcess(tmp_path, url)
    store = Store(daemon.database_url)
    with daemon, Senders(daemon.ports.listeners["pas"], seed=4) as senders:
        for goal in (300, 600):
            eventually(lambda goal=goal: senders.count > goal, "the load")  # type: ignore[misc]
            senders.port = 0
            assert daemon.terminate() == 0
            store.assert_once(set(senders.acknowledged))
            assert unanswered(daemon) == 0
            senders.port = daemon.start().ports.listeners["pas"]
        senders.finish()
        assert not senders.faults
        assert not senders.refused
        assert daemon.terminate() == 0
    assert store.one("SELECT count(*) FROM daemons WHERE stopped_at IS NULL") == 0
    assert store.one("SELECT count(*) FROM outbox WHERE state IN ('claimed', 'sending')") == 0


def unanswered(daemon: DaemonProcess) -> int:
    """Count storage failures and faults of ours that the log tells of."""
    return sum(
        line.get("event") in {"storage_failed", "internal_error", "unhandled_in_event_loop"} for line in daemon.logs
    )


def test_everything_that_was_read_before_the_signal_is_answered(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon, daemon.wire() as wire:
        messages = [a28(number) for number in range(100)]
        wire.send(*messages)
        first = wire.receive()
        daemon.signal(signal.SIGTERM)
        answers = [first, *wire.remaining()]
        assert daemon.wait() == 0
        stored = Store(daemon.database_url).one("SELECT count(*) FROM journal")
        assert len(answers) == stored >= 1
        assert [msa(answer)[1] for answer in answers] == [f"{number}-A28" for number in range(len(answers))]


def test_idle_connections_do_not_keep_it_from_ending(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        idle = [daemon.wire() for _ in range(50)]
        idle[0].write(b"\x0bMSH|half a frame")
        assert msa(idle[1].exchange(a28(1)))[0] == "AA"
        assert daemon.terminate() == 0
        for wire in idle:
            assert wire.remaining() == []
            wire.socket.close()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """The first one waits for a client that does not take its answers; the second one waits for nobody."""
    with DaemonProcess(tmp_path, changes={"serve": {"stop_deadline": "10m"}}) as daemon:
        wire = daemon.wire()
        wire.socket.settimeout(2.0)
        stuff(wire)
        daemon.signal(signal.SIGTERM)
        eventually(lambda: any(line.get("event") == "stopping" for line in daemon.logs), "the drain to begin")
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 1
        wire.socket.close()


def stuff(wire: Wire) -> None:
    """Ask for answers and take none, until nothing goes any more."""
    number = 0
    try:
        while True:
            wire.send(a28(1, f"{number:0200000}"))  # a long MSH-10 makes long answers
            number += 1
    except TimeoutError:
        return

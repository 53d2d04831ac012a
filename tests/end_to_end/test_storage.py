"""A full disk and a stopped PostgreSQL under load: no false acknowledgment, no crash, recovery by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import msa
from tests.support.patience import eventually
from tests.support.postgres import private_cluster
from tests.support.senders import Senders
from tests.support.store import Store

SMALL_DISK = 12 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A filesystem that a few thousand messages fill. Only root can have one; elsewhere the test is skipped."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "doorstep-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("a small filesystem cannot be mounted here (it needs root): the full disk is not tried")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def ready(daemon: DaemonProcess) -> int:
    """Ask for the status of ``/readyz``."""
    return daemon.get("/readyz").status


def listener(policy: str) -> dict[str, object]:
    return {
        "listeners": [
            {"name": "pas", "host": "127.0.0.1", "port": 0, "organisation": "RX1", "on_storage_failure": policy}
        ],
        "invitations": {"every": "1h"},
    }


@pytest.mark.parametrize("policy", ["close", "AE", "AR"])
def test_a_full_disk_under_load(small_disk: Path, policy: str) -> None:
    daemon = DaemonProcess(small_disk, changes=listener(policy))
    store = Store(daemon.database_url)
    with daemon, Senders(daemon.ports.listeners["pas"], seed=1) as senders:
        eventually(lambda: senders.count > 200, "the load")
        ballast = fill(small_disk)
        eventually(lambda: ready(daemon) == 503, "the daemon to say that it cannot store")
        store.assert_once(set(senders.acknowledged))
        with daemon.wire() as wire:
            wire.send(a28("probe", "PROBE"))
            answers = wire.remaining() if policy == "close" else [wire.receive()]
            assert [msa(answer)[0] for answer in answers] == ([] if policy == "close" else [policy])
        assert daemon.get("/healthz").status == 200
        ballast.unlink()
        stopped = senders.count
        eventually(lambda: senders.count > stopped + 100, "senders to be answered again")
        senders.finish()
        eventually(lambda: ready(daemon) == 200, "the daemon to be ready again")
        assert not senders.faults
        assert set(senders.refused.values()) <= {policy}
        assert "doorstep_storage_failures_total{" in daemon.get("/metrics").text  # its log had no room, either
        assert daemon.terminate() == 0
    store.assert_whole()
    store.assert_once(set(senders.acknowledged))
    assert store.one("SELECT count(*) FROM patient_records") == len(senders.people)
    assert store.rows("SELECT count(*) FROM journal WHERE control_id = 'PROBE'") == [(0,)]


def fill(folder: Path) -> Path:
    """Take all the room that is left."""
    ballast = folder / "ballast"
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 16, 1 << 12, 1 << 9, 1):
            try:
                while True:
                    os.write(handle, b"x" * size)
            except OSError:
                continue
    finally:
        os.close(handle)
    return ballast


def test_a_file_that_may_not_grow_and_then_may(tmp_path: Path) -> None:
    """What a quota does, and what needs no root: writes past a size fail, the log's own among them."""
    daemon = DaemonProcess(tmp_path, changes=listener("close"))
    store = Store(daemon.database_url)
    with daemon, Senders(daemon.ports.listeners["pas"], seed=2) as senders:
        eventually(lambda: senders.count > 200, "the load")
        limit(daemon.pid, max(path.stat().st_size for path in tmp_path.iterdir()))
        eventually(lambda: ready(daemon) == 503, "the daemon to say that it cannot store")
        store.assert_once(set(senders.acknowledged))
        limit(daemon.pid, None)
        stopped = senders.count
        eventually(lambda: senders.count > stopped + 100, "senders to be answered again")
        senders.finish()
        eventually(lambda: ready(daemon) == 200, "the daemon to be ready again")
        assert not senders.faults
        assert not senders.refused
        assert daemon.terminate() == 0
    store.assert_whole()
    store.assert_once(set(senders.acknowledged))


def limit(pid: int, size: int | None) -> None:
    """Set how large a file the process may write (None: any size)."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("another process's limits cannot be set here: the limited file is not tried")
    soft = resource.RLIM_INFINITY if size is None else size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_postgresql_that_stops_under_load_and_comes_back(tmp_path: Path, mode: str) -> None:
    with private_cluster(durable=True) as cluster:
        daemon = DaemonProcess(tmp_path, cluster.fresh_database(), changes=listener("close"))
        store = Store(daemon.database_url)
        with daemon, Senders(daemon.ports.listeners["pas"], seed=3) as senders:
            eventually(lambda: senders.count > 200, "the load")
            cluster.stop(mode)
            eventually(lambda: ready(daemon) == 503, "the daemon to say that it cannot store")
            stopped = senders.count
            with daemon.wire() as wire:
                wire.send(a28("probe", "PROBE"))
                assert wire.remaining() == []
            assert senders.count == stopped
            assert daemon.get("/healthz").status == 200
            cluster.start()
            eventually(lambda: senders.count > stopped + 100, "senders to be answered again")
            senders.finish()
            eventually(lambda: ready(daemon) == 200, "the daemon to be ready again")
            assert not senders.faults
            assert not senders.refused
            assert daemon.terminate() == 0
        store.assert_once(set(senders.acknowledged))
        assert store.one("SELECT count(*) FROM patient_records") == len(senders.people)

"""A stop has one deadline, whatever hangs; and the log is not something that a daemon waits for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import Wire, msa
from tests.support.patience import SAFETY, eventually
from tests.support.postgres import private_cluster


def test_a_database_that_does_not_answer_does_not_keep_the_daemon(tmp_path: Path) -> None:
    with private_cluster() as cluster:
        url = cluster.fresh_database()
        with DaemonProcess(tmp_path, url, {"serve": {"stop_deadline": "2s"}}) as daemon:
            with daemon.wire() as wire:
                assert msa(wire.exchange(a28(1)))[0] == "AA"
            with psycopg.connect(url.replace("+psycopg", "")) as other:
                query = "SELECT pid FROM pg_stat_activity WHERE application_name = 'doorstep'"
                backends = [row[0] for row in other.execute(query)]
                for backend in backends:
                    os.kill(backend, signal.SIGSTOP)
                try:
                    with daemon.wire() as wire:
                        wire.send(a28(2))
                        eventually(lambda: daemon.get("/readyz").status == 503, "the daemon to notice")
                        assert daemon.get("/healthz").status == 200
                        assert daemon.terminate() == 1
                        assert wire.remaining() == []
                finally:
                    for backend in backends:
                        os.kill(backend, signal.SIGCONT)
        assert "stop_deadline_passed" in [line.get("event") for line in daemon.logs]


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a pipe")
def test_a_log_that_nobody_reads_stops_neither_messages_nor_the_end(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "daemon", "serve", "--config", str(daemon.config)]
    process = subprocess.Popen(command, cwd=tmp_path, env=daemon.environment, stdout=writing, stderr=writing)
    os.close(writing)
    try:
        ports = json.loads(eventually(lambda: _text(tmp_path / "ports.json"), "the daemon to answer"))
        with Wire(ports["listeners"]["pas"]) as wire:
            for number in range(800):  # a line is more than 200 bytes, and a pipe holds 64 KiB
                assert msa(wire.exchange(a28(number)))[0] == "AA"
        process.send_signal(signal.SIGTERM)
        assert process.wait(SAFETY) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reading)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(("name", "folder", "told"), [("ports.json", True, "ports.json"), ("spool", False, "spool")])
def test_what_is_in_the_way_is_named_and_no_port_is_blamed(
    tmp_path: Path, name: str, told: str, *, folder: bool
) -> None:
    daemon = DaemonProcess(tmp_path)
    blocked = tmp_path / name
    if folder:
        (blocked / "full").mkdir(parents=True)
    else:
        blocked.write_text("")
    result = daemon.doorstep("serve")
    assert result.returncode == 1
    assert told in result.stderr
    assert "port of" not in result.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path / "one") as one:
        port = one.ports.listeners["pas"]
        listener = {"name": "pas", "host": "127.0.0.1", "port": port, "organisation": "RX1"}
        other = DaemonProcess(tmp_path / "other", changes={"listeners": [listener]})
        result = other.doorstep("serve")
        assert result.returncode == 1
        assert f"the port of listener pas (127.0.0.1:{port}) cannot be had" in result.stderr

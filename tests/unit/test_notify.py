"""What systemd hears, through a real datagram socket."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from daemon import notify

ADDRESSES = ["path", pytest.param("abstract", marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux's own"))]


@pytest.fixture(params=ADDRESSES)
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A supervisor's socket, and the address that it gives to the daemon."""
    abstract = request.param == "abstract"
    address = f"@doorstep-{os.getpid()}-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind("\0" + address[1:] if abstract else address)
        listening.settimeout(30)
        yield listening, address


def test_states_arrive_as_one_datagram(systemd: tuple[socket.socket, str]) -> None:
    listening, address = systemd
    environ = {"NOTIFY_SOCKET": address}
    assert notify.notify(environ, notify.READY, notify.status("2 listeners\nREADY=0"))
    assert listening.recv(4096) == b"READY=1\nSTATUS=2 listeners READY=0"
    assert notify.notify(environ, notify.WATCHDOG)
    assert listening.recv(4096) == b"WATCHDOG=1"
    assert notify.notify(environ, notify.STOPPING, notify.extend_start(timedelta(seconds=2)))
    assert listening.recv(4096) == b"STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_systemd_it_is_silent(environ: dict[str, str]) -> None:
    assert not notify.notify(environ, notify.READY)


def test_a_supervisor_that_is_gone_stops_nobody(tmp_path: Path) -> None:
    assert not notify.notify({"NOTIFY_SOCKET": str(tmp_path / "gone")}, notify.READY)


def test_a_supervisor_that_does_not_read_blocks_nobody(systemd: tuple[socket.socket, str]) -> None:
    _listening, address = systemd
    sent = [notify.notify({"NOTIFY_SOCKET": address}, notify.WATCHDOG) for _ in range(2_000)]
    assert sent[0]
    assert not sent[-1]


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({"WATCHDOG_USEC": "30000000"}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, timedelta(seconds=15)),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(environ: dict[str, str], interval: timedelta | None) -> None:
    assert notify.watchdog_interval(environ, process=7) == interval

"""A certificate is renewed under a running daemon: nobody's link is cut, and everybody can see when it ends."""

from __future__ import annotations

import signal
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hl7_listener.client import tls_context
from tests.support.certificates import Authority
from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import Wire, msa
from tests.support.patience import eventually

LISTENER = {"name": "pas", "host": "127.0.0.1", "port": 0}


def expires(daemon: DaemonProcess) -> datetime:
    """The end of the certificate, as the metrics page gives it."""
    name = 'doorstep_certificate_expires_timestamp_seconds{listener="pas"} '
    (line,) = [line for line in daemon.get("/metrics").text.splitlines() if line.startswith(name)]
    return datetime.fromtimestamp(float(line.removeprefix(name)), UTC)


def events(daemon: DaemonProcess, name: str) -> list[dict[str, Any]]:
    return [line for line in daemon.logs if line.get("event") == name]


@pytest.mark.parametrize("by_signal", [False, True])
def test_a_renewed_certificate_is_taken_up(tmp_path: Path, *, by_signal: bool) -> None:
    authority = Authority(tmp_path)
    server = authority.sign("server", days=(-1, 2))
    tls = {"certificate": str(server.certificate), "key": str(server.key)}
    with DaemonProcess(tmp_path, changes={"listeners": [{**LISTENER, "tls": tls}]}) as daemon:
        port, context = daemon.ports.listeners["pas"], tls_context(authority.certificate)
        now = datetime.now(UTC)
        with Wire(port, tls=context) as old:
            assert msa(old.exchange(a28(1)))[0] == "AA"
            assert expires(daemon) < now + timedelta(days=2)
            (soon,) = eventually(lambda: events(daemon, "certificate_ends_soon"), "the warning")
            assert soon["count"] == 1
            server.key.write_bytes(b"half a")
            eventually(lambda: events(daemon, "certificate_not_taken_up"), "the complaint")
            assert _subject_of(port, context)
            authority.sign("server", days=(-1, 90))
            if by_signal:
                daemon.signal(signal.SIGHUP)
            eventually(lambda: events(daemon, "certificate_taken_up"), "the new certificate")
            assert expires(daemon) > now + timedelta(days=80)
            assert msa(old.exchange(a28(2)))[0] == "AA"
            with Wire(port, tls=context) as new:
                assert msa(new.exchange(a28(3)))[0] == "AA"
        assert daemon.terminate() == 0
        assert not [line for line in daemon.logs if line.get("level") == "error" or "raw" in line]


def test_status_tells_when_a_certificate_ends(tmp_path: Path) -> None:
    server = Authority(tmp_path).sign("server", days=(-1, 5.5))
    tls = {"certificate": str(server.certificate), "key": str(server.key)}
    with DaemonProcess(tmp_path, changes={"listeners": [{**LISTENER, "tls": tls}]}) as daemon:
        eventually(lambda: daemon.json("status")["certificates"], "the first beat")
        (one,) = daemon.json("status")["certificates"]
        assert one["listener"] == "pas"
        assert "certificate of listener pas: expires" in daemon.doorstep("status").stdout
        assert "in 5 days" in daemon.doorstep("status").stdout


def _subject_of(port: int, context: ssl.SSLContext) -> bool:
    """Whether a new link still gets a certificate."""
    with Wire(port, tls=context) as wire:
        return isinstance(wire.socket, ssl.SSLSocket) and bool(wire.socket.getpeercert())

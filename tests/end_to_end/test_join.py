"""From an A28 on the wire to a person who sees their record: the real daemon, real HTTP, both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.patient import Patient, secret_in

PLAIN = {"join": {"public_url": "http://join.example.org"}}
"""Without TLS in front of the port, browsers would not send cookies that are for TLS alone."""

BORN = "1980-02-29"
PASSWORD = "seven purple otters"
EMAIL = "tess@example.org"


@pytest.fixture
def daemon(tmp_path: Path, database_url: str) -> DaemonProcess:
    return DaemonProcess(tmp_path / "house", database_url, PLAIN)


def test_from_the_feed_to_the_open_record(daemon: DaemonProcess) -> None:
    with daemon, daemon.wire() as wire:
        wire.send(a28("RX1000001"))
        [text] = daemon.spool.wait(1, "sms")
        assert daemon.ports.join is not None
        with Patient(daemon.ports.join) as patient:
            patient.register(text.pair, BORN, EMAIL, PASSWORD)
            assert patient.page.url.path == "/join/sent", patient.text
            [mail] = daemon.spool.wait(1, "email")
            assert mail.to == EMAIL
            assert "Testperson" not in mail.text
            patient.confirm(secret_in(mail.text))
            assert "Your account is ready" in patient.text
            patient.log_in(EMAIL, PASSWORD)
            assert patient.page.url.path == "/record", patient.text
            assert "Tess Testperson" in patient.text
            assert "29 February 1980" in patient.text
            story = daemon.json("explain", "RX1000001")
            assert story["state"] == "registered"
            assert story["invitations"][0]["end_reason"] == "registered"
            patient.send("/logout")
            assert patient.open("/record").url.path == "/login"
        assert text.pair[0] not in daemon.log_text
        assert PASSWORD not in daemon.log_text
        assert EMAIL not in daemon.log_text


def test_many_who_log_in_at_once_all_get_in(tmp_path: Path) -> None:
    """On the real parameters of derivations: two at once waited for each other's threads for ever."""
    with DaemonProcess(tmp_path / "house", None, PLAIN) as daemon, daemon.wire() as wire:
        wire.send(a28("RX1000001"))
        [text] = daemon.spool.wait(1, "sms")
        port = daemon.ports.join
        assert port is not None
        with Patient(port) as patient:
            patient.register(text.pair, BORN, EMAIL, PASSWORD)
            [mail] = daemon.spool.wait(1, "email")
            patient.confirm(secret_in(mail.text))

        def entered(_number: int) -> str:
            with Patient(port) as somebody:
                somebody.log_in(EMAIL, PASSWORD)
                return str(somebody.page.url.path)

        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(entered, range(8))) == {"/record"}


APART = ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/oauth/token", "/v1/users/1/recordAccessToken",
         "/fhir/metadata", "/staff", "/staff/login")  # fmt: skip
PUBLIC = ("/join", "/join/account", "/confirm", "/login", "/forgotten", "/reset", "/record")


def test_neither_port_serves_the_other_s_pages(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path / "house", None, PLAIN) as daemon:
        assert {path: daemon.get(path, "join").status for path in APART} == dict.fromkeys(APART, 404)
        assert {path: daemon.get(path, "api").status for path in PUBLIC} == dict.fromkeys(PUBLIC, 404)
        assert daemon.get("/join", "join").status == 200
        assert daemon.get("/healthz", "api").status == 200
        unknown = daemon.get("/nowhere", "join")
        assert "<h1>There is no such page</h1>" in unknown.text
        assert "default-src 'none'" in unknown.headers["content-security-policy"]
        assert "server" not in unknown.headers

"""``doorstep client`` against the real daemon: what it prints works, and what it revokes ends at once."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.support.daemon_process import DaemonProcess

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def url(database_url: str) -> str:
    return database_url


def test_a_client_is_added_listed_used_and_revoked(tmp_path: Path, url: str) -> None:
    changes = {"database": {"migrate_on_start": True}}
    with DaemonProcess(tmp_path / "home", url, changes) as daemon:
        made = daemon.json("client", "add", "Print house", "--organisation", "RX1")
        assert set(made) == {"client_id", "client_secret"}
        credentials = (made["client_id"], made["client_secret"])
        base = f"http://127.0.0.1:{daemon.ports.api}"
        answer = httpx.post(f"{base}/oauth/token", data=GRANT, auth=credentials)
        bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
        path = f"{base}/v1/users/{'0' * 32}/recordAccessToken"
        assert httpx.post(path, headers=bearer).status_code == 404
        [listed] = daemon.json("client", "list")
        assert (listed["name"], listed["scope"], listed["revoked_at"]) == ("Print house", "system", None)
        assert listed["last_used_at"] is not None
        assert "Print house" in daemon.doorstep("client", "list").stdout
        assert daemon.doorstep("client", "revoke", made["client_id"]).returncode == 0
        assert httpx.post(path, headers=bearer).status_code == 401
        assert httpx.post(f"{base}/oauth/token", data=GRANT, auth=credentials).status_code == 401
        assert "before" in daemon.doorstep("client", "revoke", made["client_id"]).stdout
        [listed] = daemon.json("client", "list")
        assert listed["revoked_at"] is not None
        audited = daemon.doorstep("audit", "list", "--json").stdout
        assert [entry["action"] for entry in json.loads(audited)][-1] == "client_added"
        log = daemon.log_text
    for secret in (made["client_secret"], answer.json()["access_token"]):
        assert secret not in log
        assert secret not in json.dumps([listed, audited])


def test_what_it_refuses_says_what_to_do(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path / "home")
    assert "doorstep serve" in daemon.doorstep("client", "list").stderr, "there is no database yet"
    assert daemon.doorstep("migrate").returncode == 0
    wrong = daemon.doorstep("client", "add", "A", "--organisation", "RX9")
    assert (wrong.returncode, "RX1" in wrong.stderr) == (2, True)
    assert daemon.doorstep("client", "add", " ", "--organisation", "RX1").returncode == 2
    assert daemon.doorstep("client", "add", "A").returncode == 2
    unknown = daemon.doorstep("client", "revoke", "dsc_0")
    assert (unknown.returncode, "client list" in unknown.stderr) == (1, True)
    assert daemon.json("client", "list") == []

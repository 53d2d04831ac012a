"""The API's description is true: schemathesis holds the running daemon to it; and its pages show all of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.patience import SAFETY
from tests.support.store import Store

CONFIGURATION = """\
[auth.openapi.bearer]
bearer = "{bearer}"
[auth.openapi.client]
username = "{client_id}"
password = "{client_secret}"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "403", "404"]

# No schema can tell a check digit.
[[operations]]
include-path = "/v1/users/byNationalId/{{number}}/{{type}}"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404"]

# Nor that credentials may stand in one place only.
[[operations]]
include-path = "/oauth/token"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401"]
"""

NUMBER = "9434765919"
"""The number in the description's examples."""

UNKNOWN_ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaemonProcess]:
    changes = {"api": {"requests_per_minute": 1_000_000}}
    with DaemonProcess(tmp_path_factory.mktemp("api"), None, changes) as running:
        with running.wire() as wire:
            wire.send(a28(f"{NUMBER}^^^NHS^NH~1"))
            assert b"MSA|AA" in wire.receive()
        yield running


@pytest.fixture(scope="module")
def document(daemon: DaemonProcess) -> dict[str, Any]:
    answer = daemon.get("/openapi.json")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    read: dict[str, Any] = json.loads(answer.body)
    return read


def credentials(daemon: DaemonProcess) -> dict[str, str]:
    """A new client's id and secret, and a bearer for it."""
    made: dict[str, str] = daemon.json("client", "add", "Fuzz", "--organisation", "RX1")
    url = f"http://127.0.0.1:{daemon.ports.api}/oauth/token"
    auth = (made["client_id"], made["client_secret"])
    answer = httpx.post(url, data={"grant_type": "client_credentials"}, auth=auth)
    return {**made, "bearer": answer.json()["access_token"]}


def schemathesis(daemon: DaemonProcess, folder: Path, document: dict[str, Any], *more: str) -> Any:
    """Hold the running daemon to a description."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION.format(**credentials(daemon)))
    (folder / "openapi.json").write_text(json.dumps(document))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    return subprocess.run(
        [
            Path(sys.executable).with_name("schemathesis"), "--config-file", "schemathesis.toml", "run", "openapi.json",
            "--url", f"http://127.0.0.1:{daemon.ports.api}", "--max-examples", "25", "--seed", "20260304",
            "--no-color", "--checks", "all", *more,
        ],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=4 * SAFETY,
        check=False,
    )  # fmt: skip


def with_somebody_real(daemon: DaemonProcess, document: dict[str, Any]) -> dict[str, Any]:
    """The description with the id of a person who is known as its example, so that calls get as far as an answer."""
    [[public_id]] = Store(daemon.database_url).rows("SELECT public_id FROM patient_records")
    text = json.dumps(document)
    assert UNKNOWN_ID in text
    read: dict[str, Any] = json.loads(text.replace(UNKNOWN_ID, public_id))
    return read


def test_the_running_service_is_as_described(daemon: DaemonProcess, document: dict[str, Any], tmp_path: Path) -> None:
    result = schemathesis(daemon, tmp_path, with_somebody_real(daemon, document))
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    answered = {(line["path"], line["status"]) for line in daemon.logs if line.get("event") == "request"}
    assert {(path, 200) for path in document["paths"]} <= answered, "every call got as far as its answer"
    assert "request_failed" not in [line.get("event") for line in daemon.logs]


def test_a_description_that_is_not_true_is_found_out(
    daemon: DaemonProcess, document: dict[str, Any], tmp_path: Path
) -> None:
    """The test before could fail: with one status and one field described wrongly, it does."""
    path = "/v1/users/{id}/recordAccessToken"
    wrong = json.loads(json.dumps(document))
    wrong["paths"] = {path: {"post": wrong["paths"][path]["post"]}}
    del wrong["paths"][path]["post"]["responses"]["404"]
    result = schemathesis(daemon, tmp_path, wrong, "--max-failures", "1")
    assert result.returncode == 1
    assert "Undocumented status code" in result.stdout


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named
    assert named <= set(document["components"]["schemas"])


def test_the_pages_show_every_call_and_ask_nobody_else(daemon: DaemonProcess, document: dict[str, Any]) -> None:
    answer = daemon.get("/docs")
    page = answer.body.decode()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script" not in answer.headers["content-security-policy"]
    assert answer.headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"<b>{method.upper()}</b> {path}" in page
    for name in document["components"]["schemas"]:
        assert f'id="schema-{name}"' in page
    assert "<script" not in page
    assert not re.findall(r"""style=["']|\son\w+=|(?:src|href)=["']?(?:https?:)?//""", page)
    [style] = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page)
    assert daemon.get(style).headers["content-type"] == "text/css; charset=utf-8"
    anchors = re.findall(r'href="#([^"]+)"', page)
    assert anchors
    assert {f'id="{anchor}"' in page for anchor in anchors} == {True}


def test_health_and_metrics_stay_open_and_the_api_does_not_open_by_itself(daemon: DaemonProcess) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
        assert daemon.get(path).status == 200
    assert daemon.get(f"/v1/users/{'0' * 32}/recordAccessToken").status == 401


def test_no_number_that_was_in_a_path_gets_into_log_or_metrics(daemon: DaemonProcess) -> None:
    number, headers = "9434765870", {"authorization": f"Bearer {credentials(daemon)['bearer']}"}
    for path in (f"/v1/users/byNationalId/{number}/NHS_NUMBER", f"/v1/users/byNationalId/{number}", f"/{number}"):
        answer = httpx.get(f"http://127.0.0.1:{daemon.ports.api}{path}", headers=headers)
        assert answer.status_code == 404
        assert number not in answer.text
    assert number not in daemon.log_text
    assert number not in daemon.get("/metrics").body.decode()
    routes = [line["path"] for line in daemon.logs if line.get("event") == "request"]
    assert "/v1/users/byNationalId/{number}/{type}" in routes

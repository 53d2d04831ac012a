"""What the tests' daemon is started with: TOML that says what the test meant."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from daemon.settings.load import load
from tests.support.daemon_process import DaemonProcess, configuration, merged, toml


def test_a_written_configuration_reads_back_as_it_was() -> None:
    settings = merged(
        configuration("sqlite:///x.db"),
        {
            "invitations": {"channels": ["sms"], "every": "2s"},
            "delivery": {"email": {"smtp": {"password": {"env": "P"}}}, "quota": 1.5},
            "organisations": [{"code": "RX2", "name": "Üml \"q\" \\ 'a'"}, {"code": "RX3", "deep": {"n": 1}}],
        },
    )
    assert tomllib.loads(toml(settings)) == settings


def test_changes_replace_values_and_keep_their_neighbours() -> None:
    assert merged({"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}}) == {"a": {"b": 1, "c": [2]}}


def test_log_lines_that_are_no_json_are_kept(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    (tmp_path / "daemon.log").write_text('{"event": "started"}\nTraceback\n[1]\n')
    assert daemon.logs == [{"event": "started"}, {"raw": "Traceback"}, {"raw": "[1]"}]


@pytest.mark.parametrize("url", ["sqlite:////tmp/x.db", "postgresql+psycopg://postgres@/d?host=/tmp/s&port=5"])
def test_the_configuration_of_the_tests_is_a_valid_one(tmp_path: Path, url: str) -> None:
    settings = load(DaemonProcess(tmp_path, url).config, {}, serving=True)
    assert settings.listeners[0].port == 0

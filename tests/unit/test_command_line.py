"""The command line's promises to scripts: its exit status, and a sentence that says what to do (SPEC 1)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.commands import send
from daemon.commands.shared_options import json_text
from hl7_listener.lane import Answer

COMMANDS = (
    "demo",
    "init",
    "serve",
    "check-config",
    "migrate",
    "send",
    "invite",
    "explain",
    "person",
    "staff",
    "audit",
    "status",
)


def doorstep(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    return subprocess.run(
        [sys.executable, "-m", "daemon", *arguments],
        cwd=folder,
        env={**environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str, tmp_path: Path) -> None:
    done = doorstep(command, "--help", folder=tmp_path)
    assert done.returncode == 0
    assert f"Example: doorstep {command}" in done.stdout


def test_a_fault_of_the_configuration_is_status_1(tmp_path: Path) -> None:
    (tmp_path / "doorstep.toml").write_text("[api]\nporrt = 1\n")
    for command in ("check-config", "serve", "status", "invite"):
        done = doorstep(command, folder=tmp_path)
        assert done.returncode == 1, command
        assert "api.porrt" in done.stderr
        assert "port" in done.stderr


def test_a_sound_configuration_is_status_0(tmp_path: Path) -> None:
    done = doorstep("check-config", folder=tmp_path)
    assert done.returncode == 0
    assert "no faults" in done.stdout


def test_wrong_use_is_status_2(tmp_path: Path) -> None:
    for arguments in (
        ["nonsense"],
        ["send"],
        ["send", ".", "--to", "nowhere"],
        ["explain"],
        ["demo", "--patients", "x"],
    ):
        done = doorstep(*arguments, folder=tmp_path)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_status_without_a_daemon_is_status_1(tmp_path: Path) -> None:
    doorstep("migrate", folder=tmp_path)
    done = doorstep("status", folder=tmp_path)
    assert done.returncode == 1
    assert "doorstep serve" in done.stdout


@pytest.mark.parametrize("command", [["status"], ["explain", "4711"], ["invite"]])
def test_a_command_that_only_looks_makes_no_database(command: list[str], tmp_path: Path) -> None:
    done = doorstep(*command, folder=tmp_path)
    assert done.returncode == 1
    assert "doorstep serve" in done.stderr
    assert not (tmp_path / "doorstep-data").exists()


def test_nobody_found_is_status_1_and_says_what_to_try(tmp_path: Path) -> None:
    doorstep("migrate", folder=tmp_path)
    done = doorstep("explain", "4711", folder=tmp_path)
    assert done.returncode == 1
    assert "PID-3" in done.stderr


def test_sending_to_nobody_is_status_1(tmp_path: Path) -> None:
    (tmp_path / "a.hl7").write_bytes(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A28|1|P|2.5\rPID|1||1\r")
    done = doorstep("send", "a.hl7", "--to", "127.0.0.1:1", "--timeout", "1", folder=tmp_path)
    assert done.returncode == 1
    assert "no_connection" in done.stdout


def test_what_cannot_be_sent_is_named_and_nothing_behind_it_is_sent(tmp_path: Path) -> None:
    message = b"MSH|^~\\&|A|B|C|D|20260101||ADT^A28|1|P|2.5\rPID|1||1\r"
    (tmp_path / "a.hl7").write_bytes(message.replace(b"||1", b"||1\x1c") + message)
    done = doorstep("send", "a.hl7", "--to", "127.0.0.1:1", "--timeout", "1", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "0 messages" in done.stdout
    assert "message 1 of a.hl7 holds a byte" in done.stdout


def test_a_folder_with_nothing_to_send_says_what_it_looks_for(tmp_path: Path) -> None:
    done = doorstep("send", ".", "--to", "127.0.0.1:1", folder=tmp_path)
    assert (done.returncode, ".hl7" in done.stderr) == (1, True)


def test_a_spreadsheet_s_report_names_what_was_not_used(tmp_path: Path) -> None:
    rows = "First Name,LAST_NAME,national_id,telephone\nUna,Archer,9990000042,07700900123\nKit,,9990000050,\n"
    (tmp_path / "people.csv").write_text(rows)
    done = doorstep("import-csv", "people.csv", folder=tmp_path)
    assert (done.returncode, "created: 1" in done.stdout, "rejected: 1" in done.stdout) == (1, True, True)
    assert "telephone (ours are title, " in done.stdout
    assert "last_name missing" in (tmp_path / "people.csv.rejected.csv").read_text()
    (tmp_path / "people.csv.rejected.csv").write_text(rows.splitlines()[0] + ",reason\nKit,Bowman,9990000050,,x\n")
    again = doorstep("import-csv", "people.csv.rejected.csv", "--json", folder=tmp_path)
    report = json.loads(again.stdout)
    assert (report["created"], report["passed_over"]) == (1, ["telephone"])


def test_init_writes_both_files_once(tmp_path: Path) -> None:
    done = doorstep("init", "here", folder=tmp_path)
    assert done.returncode == 0
    key_file = tmp_path / "here" / "doorstep-data" / "keys.json"
    assert key_file.stat().st_mode & 0o777 == 0o600
    before = (key_file.read_bytes(), (tmp_path / "here" / "doorstep.toml").read_bytes())
    again = doorstep("init", "here", folder=tmp_path)
    assert again.returncode == 1
    assert (key_file.read_bytes(), (tmp_path / "here" / "doorstep.toml").read_bytes()) == before


def test_what_init_writes_is_a_configuration_to_serve_with(tmp_path: Path) -> None:
    doorstep("init", "here", folder=tmp_path)
    done = doorstep("check-config", folder=tmp_path / "here")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_database_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    doorstep("migrate", folder=tmp_path)
    files = list((tmp_path / "doorstep-data").glob("doorstep.db*"))
    assert files
    assert {file.stat().st_mode & 0o077 for file in files} == {0}


def test_json_for_people_steers_no_terminal() -> None:
    """What a sender wrote is in it; one byte (9B) begins a control sequence on some terminals."""
    document = {"family": "Müller \x1b[2J\x9b31m\u202e\x7f\U000e0001"}
    for indent in (None, 2):
        text = json_text(document, indent)
        assert "Müller" in text
        assert all(character.isprintable() or character == "\n" for character in text)
        assert json.loads(text) == document


def test_an_answer_of_another_system_steers_no_terminal() -> None:
    answer = Answer(0, "AA\x9b2J", "ID\x1b]0;x\x07", "thanks\x1b[2J", b"", 0.0, 1)
    assert send._line(answer) == "ID\\x1b]0;x\\x07  AA\\x9b2J  thanks\\x1b[2J"

"""``doorstep wording check`` and what refuses to start, as a person runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess

SMS = "{{ hospital }} {{ code }} {{ token }}\n{{ link }}"


def doorstep(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "daemon", *arguments, "--config", str(folder / "doorstep.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration with one template of the hospital's own."""
    (tmp_path / "doorstep.toml").write_text("[organisation]\nlanguage = 'cy'\n", "utf-8")
    own = tmp_path / "wording" / "en" / "invitation"
    own.mkdir(parents=True)
    (own / "sms.txt").write_text(SMS, "utf-8")
    return tmp_path


def test_it_writes_everything_and_shows_pictures_of_letters(folder: Path) -> None:
    ran = doorstep(folder, "wording", "check", "--json", "--pictures", str(folder / "pictures"))
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["own"] == ["en/invitation/sms.txt"]
    assert found["faults"] == found["warnings"] == []
    plain = [m for m in found["messages"] if not m.get("large_print")]
    by_kind = {(m["language"], m["purpose"], m["channel"]): m for m in plain}
    assert by_kind["en", "invitation", "sms"]["parts"] == 1
    assert by_kind["cy", "invitation", "sms"]["alphabet"] == "GSM-7"
    [picture] = by_kind["cy", "invitation", "letter"]["picture"]
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_a_broken_template_stops_the_start_and_names_file_line_and_mend(folder: Path) -> None:
    path = folder / "wording" / "en" / "invitation" / "sms.txt"
    path.write_text(f"{SMS}\n{{{{ cdoe }}}}", "utf-8")
    for command in ("check-config", "serve"):
        ran = doorstep(folder, command)
        assert ran.returncode == 1
        assert f"{path}:3: has a placeholder {{{{ cdoe }}}} that does not exist. Did you mean code?" in ran.stderr
    ran = doorstep(folder, "wording", "check")
    assert ran.returncode == 1
    assert "fault: " in ran.stdout
    assert "1 faults" in ran.stdout


def test_a_folder_that_is_gone_is_seen_before_patients_get_the_shipped_wording(folder: Path) -> None:
    found = doorstep(folder, "check-config").stdout
    assert f"Wording: 1 template of your own in {folder / 'wording'}." in found
    (folder / "wording").rename(folder / "unmounted")
    assert "Wording: as shipped." in doorstep(folder, "check-config").stdout


def test_the_start_says_how_many_templates_are_the_hospitals_own(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    own = daemon.folder / "wording" / "en" / "invitation"
    own.mkdir(parents=True)
    (own / "sms.txt").write_text(SMS, "utf-8")
    with daemon:
        assert daemon.terminate() == 0
    assert [line["count"] for line in daemon.logs if line.get("event") == "own_wording"] == [1]


def test_a_folder_that_was_named_must_be_there(folder: Path) -> None:
    (folder / "doorstep.toml").write_text("[wording]\nfolder = 'nowhere'\n", "utf-8")
    ran = doorstep(folder, "check-config")
    assert (ran.returncode, "nowhere: is no folder" in ran.stderr) == (1, True)


def test_what_people_leave_beside_templates_is_no_template(folder: Path) -> None:
    for name in ("README.md", ".en.txt.swp", "sms.txt~"):
        (folder / "wording" / name).write_text("{{ x }}", "utf-8")
    (folder / "wording" / "en" / "invitation" / "email.txt").write_bytes(b"caf\xe9")
    ran = doorstep(folder, "check-config")
    assert ran.stderr.count("\n") == 1
    assert "is not UTF-8 text" in ran.stderr

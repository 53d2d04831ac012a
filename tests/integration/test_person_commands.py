"""Operators decide about people by command: the same consequences, and the trail says who it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import doorstep
from patient_records.decisions import Ground
from tests.support.people import person
from tests.support.staff_site import StaffSite


@pytest.fixture
def folder(tmp_path: Path, sqlite_url: str) -> Path:
    with StaffSite(tmp_path, sqlite_url) as site:
        [public_id] = site.arrive([person(1)])
        site.house.invites.issue.run()
    (tmp_path / "who").write_text(public_id)
    return tmp_path


def run(folder: Path, *arguments: str) -> Result:
    return CliRunner().invoke(doorstep, ["--config", str(folder / "doorstep.toml"), *arguments], standalone_mode=False)


def story(folder: Path) -> dict[str, object]:
    told: dict[str, object] = json.loads(run(folder, "explain", "00000001", "--json").stdout)
    return told


@pytest.mark.parametrize(
    ("arguments", "state", "undo", "entries"),
    [
        (["hold", "00000001", "--reason", "safeguarding"], "held", "release", ["record_released", "record_held"]),
        (["exclude", "00000001", "--reason", "other"], "excluded", "include", ["record_included", "record_excluded"]),
        (["opt-out", "00000001"], "opted_out", "opt-in", ["record_opted_in", "record_opted_out"]),
    ],
)
def test_a_decision_by_command(folder: Path, arguments: list[str], state: str, undo: str, entries: list[str]) -> None:
    assert story(folder)["state"] == "invited"
    done = run(folder, "person", *arguments)
    assert done.exception is None, done.output
    assert "Done." in done.stdout
    assert story(folder)["state"] == state
    assert json.loads(run(folder, "person", *arguments, "--json").stdout) == {"result": "already_so"}
    assert run(folder, "person", undo, "00000001").exception is None
    assert story(folder)["state"] == "eligible"
    trail = json.loads(run(folder, "audit", "list", "--record", "00000001", "--json").stdout)
    assert [entry["action"] for entry in trail] == entries
    assert {entry["actor"]["kind"] for entry in trail} == {"operator"}
    assert run(folder, "audit", "verify").exception is None


def test_pairs_are_revoked_by_command(folder: Path) -> None:
    assert json.loads(run(folder, "person", "revoke", "00000001", "--json").stdout) == {"revoked": 1}
    assert "0 pairs" in run(folder, "person", "revoke", "00000001").stdout


def test_what_cannot_be_done_says_so(folder: Path) -> None:
    nobody = run(folder, "person", "hold", "123", "--reason", "other")
    assert "nobody is known by that identifier" in str(nobody.exception)
    unreasoned = run(folder, "person", "hold", "00000001")
    assert "reason" in str(unreasoned.exception)
    wrong = run(folder, "person", "hold", "00000001", "--reason", "because")
    assert "because" in str(wrong.exception)


def test_the_reasons_of_the_command_are_the_programs() -> None:
    from daemon.commands import person as module  # noqa: PLC0415 (its name is the support's, too)

    assert tuple(ground.value for ground in Ground) == module._GROUNDS

"""A language file that no page can be made with is a fault of the configuration, named before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import doorstep


def checked(folder: Path, wording: str) -> str:
    """What check-config says of a configuration with that folder of language files."""
    config = folder / "doorstep.toml"
    config.write_text(f'[join]\nwording = "{wording}"\n')
    result = CliRunner().invoke(doorstep, ["check-config", "--config", str(config)])
    return f"{result.exit_code} {result.output}"


def test_a_sound_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "fr.toml").write_text('continue = "Continuer"\n')
    assert checked(tmp_path, "pages").startswith("0 ")


@pytest.mark.parametrize("text", ["continue = ", 'continue = "{0}"', "continue = 7"])
def test_a_broken_one_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "fr.toml").write_text(text)
    said = checked(tmp_path, "pages")
    assert said.startswith("1 ")
    assert "fr.toml" in said


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    said = checked(tmp_path, "nowhere")
    assert said.startswith("1 ")
    assert "is no folder" in said

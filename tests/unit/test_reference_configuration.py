"""The reference configuration is the documentation of every setting, and it is exactly the defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from daemon.initialise import AlreadyThere, initialise
from daemon.reference_files import reference_configuration, reference_file
from daemon.settings import Settings, load
from daemon.settings.key_names import KeyName, key_names

COMMENTED_KEY = re.compile(r"^# (?=[a-z_]+ = |\[\[)", re.MULTILINE)
OPTIONAL = {"listeners.organisation", "listeners.timezone"}
"""Settings that the reference shows in a comment, because their default follows another setting."""


DOCUMENTED = [key for key in key_names() if key.path[0] != "organisations"]
"""[[organisations]] has the keys of [organisation], which documents them."""


def uncommented() -> str:
    """The reference with its commented-out keys in force."""
    return COMMENTED_KEY.sub("", reference_configuration())


def at(document: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        document = document[0] if isinstance(document, list) else document
        document = document[step]
    return document


@pytest.mark.parametrize("key", DOCUMENTED, ids=lambda key: key.dotted)
def test_every_setting_is_in_it_with_a_sentence(key: KeyName) -> None:
    at(tomllib.loads(uncommented()), key.path)
    name = key.path[-1]
    documented = re.search(rf"^# .*\.\n(?:# )?{name} = ", section_text(key), re.MULTILINE)
    assert documented, f"{name} has no sentence above it"


@pytest.mark.parametrize("key", DOCUMENTED, ids=lambda key: key.dotted)
def test_every_setting_is_in_the_table_of_the_readme_with_its_default(key: KeyName) -> None:
    default = re.escape(next(iter(re.findall(rf"^(?:# )?{key.path[-1]} = (.*)$", section_text(key), re.MULTILINE))))
    rows = reference_file("README.md").read_text("utf-8")
    assert re.search(rf"^\| `{re.escape(key.dotted)}` \| `{default}` \| .{{5,}} \|$", rows, re.MULTILINE)


def section_text(key: KeyName) -> str:
    """The part of the reference between the setting's table and the next."""
    head = re.escape(".".join(key.path[:-1]))
    found = re.search(
        rf"^(?:# )?\[+{head}\]+$(.*?)(?=^(?:# )?\[|\Z)", reference_configuration(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{key.dotted} has no table"
    return found[1]


def test_the_readme_names_no_setting_that_is_none() -> None:
    names = re.findall(r"^\| `([a-z_.]+)` \|", reference_file("README.md").read_text("utf-8"), re.MULTILINE)
    assert set(names) <= {key.dotted for key in key_names()}


def test_it_loads_to_exactly_the_defaults(tmp_path: Path) -> None:
    (file,) = initialise(tmp_path)
    given = load(file, {}, serving=True)
    file.unlink()
    assert given == load(None, {}, folder=tmp_path)


def test_it_says_each_default_itself() -> None:
    """Not only the same result: each active key of the file gives the default, so that none hides behind another."""
    assert Settings.model_validate(tomllib.loads(reference_configuration())) == Settings()


def test_what_it_shows_in_comments_is_sound(tmp_path: Path) -> None:
    file = tmp_path / "doorstep.toml"
    file.write_text(uncommented(), encoding="utf-8")
    settings = load(file, {}, serving=True)
    assert [one.code for one in settings.all_organisations] == ["RX1", "RX2"]
    assert settings.listeners == Settings().listeners
    shown = {key.dotted for key in DOCUMENTED if key.path[:-1] == ("listeners",)}
    active = {f"listeners.{name}" for name in tomllib.loads(reference_configuration())["listeners"][0]}
    assert shown - active == OPTIONAL


def test_init_writes_it_and_never_overwrites(tmp_path: Path) -> None:
    (file,) = initialise(tmp_path / "new" / "folder")
    assert file == tmp_path / "new" / "folder" / "doorstep.toml"
    assert file.read_text("utf-8") == reference_configuration()
    assert file.stat().st_mode & 0o777 & ~0o644 == 0
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(AlreadyThere, match="name another folder"):
        initialise(file.parent)
    assert file.read_text("utf-8") == "mine"


def test_init_follows_no_link_that_lies_in_wait(tmp_path: Path) -> None:
    (tmp_path / "doorstep.toml").symlink_to(tmp_path / "target")
    with pytest.raises(AlreadyThere):
        initialise(tmp_path)
    assert not (tmp_path / "target").exists()


def test_the_installed_place_comes_before_the_checkouts(tmp_path: Path) -> None:
    installed, checkout = tmp_path / "reference", tmp_path / "config"
    for place in (installed, checkout):
        place.mkdir()
        (place / "doorstep.toml").write_text("", encoding="utf-8")
    assert reference_file("doorstep.toml", (installed, checkout)) == installed / "doorstep.toml"
    (installed / "doorstep.toml").unlink()
    assert reference_file("doorstep.toml", (installed, checkout)) == checkout / "doorstep.toml"
    with pytest.raises(FileNotFoundError, match="install doorstep again"):
        reference_file("absent", (installed, checkout))


def test_the_unit_speaks_the_protocol_that_the_daemon_speaks() -> None:
    unit = reference_file("systemd/doorstep.service").read_text("utf-8")
    for line in ("Type=notify", "WatchdogSec=30s", "Restart=on-failure", "NoNewPrivileges=yes", "ProtectSystem=strict"):
        assert f"\n{line}\n" in unit

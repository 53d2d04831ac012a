"""Which jobs the clock has: one that is forgotten in a merge fails nothing else, it only never runs."""

from __future__ import annotations

from pathlib import Path

from daemon import clockwork
from daemon.bootstrap import build
from daemon.settings import load
from tests.support.daemon_process import toml


def jobs_of(folder: Path, **settings: object) -> set[str]:
    """The names of the jobs of a house with that configuration."""
    file = folder / "doorstep.toml"
    file.write_text(toml(dict(settings)))
    house = build(load(file, {}))
    try:
        return set(clockwork.schedule(house).names)
    finally:
        house.close()


ALWAYS = {
    "invite", "remind", "sweep", "dispatch:sms", "dispatch:email", "dispatch:letter",
    "audit_seal", "tidy", "upkeep", "challenges",
}  # fmt: skip


def test_every_job_of_every_room_is_on_the_clock(tmp_path: Path) -> None:
    assert jobs_of(tmp_path) == ALWAYS


def test_what_only_some_providers_need_is_there_when_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "letters"
    letters = {"provider": "dropfolder", "dropfolder": {"folder": str(folder)}}
    assert jobs_of(tmp_path, delivery={"letter": letters}) == ALWAYS | {"returns"}

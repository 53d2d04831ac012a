"""The two commands of a newcomer: the demo, and a daemon of one's own from ``init`` on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import SAFETY
from tests.support.store import Store


def demo(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo with its temporary folder below ``folder``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    return subprocess.run(
        [sys.executable, "-m", "daemon", "demo", *arguments],
        env={**environment, "TMPDIR": str(folder), "COLUMNS": "200"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=2 * SAFETY,
        check=False,
    )


@pytest.mark.parametrize("arguments", [("--exit",), ("--exit", "--patients", "20")], ids=["as it is", "20 patients"])
def test_the_demo_ends_with_0_and_shows_what_it_promised(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    result = demo(*arguments, folder=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    for promised in ("The funnel", "One SMS", "One email", "One letter", "/join#c=", "/recordAccessToken"):
        assert promised in result.stdout
    assert "fell short" not in result.stdout
    letter = re.search(r"One letter:\s*(\S+\.pdf)", result.stdout)
    assert letter is not None
    assert Path(letter[1]).read_bytes().startswith(b"%PDF")
    nobody_in_clear(tmp_path)


def nobody_in_clear(folder: Path) -> None:
    """Look through the database's bytes for what the spool's messages say of people, and for their codes."""
    (home,) = folder.glob("doorstep-demo-*")
    database = Store(f"sqlite:///{home / 'doorstep-data' / 'doorstep.db'}").bytes()
    assert len(database) > 10_000
    texts = [path.read_text() for path in (home / "doorstep-data" / "spool" / "sms").glob("*.txt")]
    assert texts
    for text in texts:
        number = re.search(r"^To: (\S+)$", text, re.MULTILINE)
        pair = re.search(r"#c=(\w{10})&t=(\w{10})", text)
        assert number is not None
        assert pair is not None
        for secret in (number[1], number[1].replace("+44", "0"), pair[1], pair[2]):
            assert secret.encode() not in database

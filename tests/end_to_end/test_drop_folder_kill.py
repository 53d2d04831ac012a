"""A real process that makes batches of letters, killed with SIGKILL again and again: each letter is in one batch.

What the process said to be accepted is never lost; what it did not say is sent again by the next one, as the outbox
does; and some of what it said, too, for its last word may not have reached the outbox.
"""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.drop_batches import handed_over

LETTERS = 120
KILLS = 12


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_again_and_again_each_letter_is_in_one_batch(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    everybody = [f"ref-{number}" for number in range(LETTERS)]
    accepted: set[str] = set()
    for kill in range(KILLS):
        again = dice.sample(sorted(accepted), min(5, len(accepted)))
        rest = [reference for reference in everybody if reference not in accepted]
        heard, _ = run(tmp_path / "letters", f"{seed}.{kill}", again + rest, dice.randrange(1, LETTERS // KILLS))
        accepted |= heard
        assert set(handed_over(tmp_path / "letters").values()) <= {1}
    rest = [reference for reference in everybody if reference not in accepted]
    heard, ended = run(tmp_path / "letters", str(seed), rest + everybody[:5], None)
    assert ended
    assert handed_over(tmp_path / "letters") == dict.fromkeys(everybody, 1)
    assert accepted | heard == set(everybody)


def run(folder: Path, seed: str, references: list[str], kill_after: int | None) -> tuple[set[str], bool]:
    """Run the process, killed once it said so many letters; gives what was accepted and whether it came to its end."""
    command = [sys.executable, "-m", "tests.support.drop_folder_sender", str(folder), seed, *references]
    heard: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            heard.append(line.strip())
            if len(heard) == kill_after:
                process.kill()
    return set(heard) - {"done"}, "done" in heard

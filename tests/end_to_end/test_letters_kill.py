"""``kill -9`` while the daemon hands letters to a print house: each letter is in one batch, and each batch is whole."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.drop_batches import handed_over
from tests.support.feed import a28, stream
from tests.support.mllp import Wire, msa
from tests.support.patience import eventually
from tests.support.store import Store

PEOPLE = 30
KILLS = 3
CHANGES = {
    # Letters take a while to be set: a lease of a second would be over before the first is handed on.
    "delivery": {"lease": "10s", "letter": {"provider": "dropfolder", "dropfolder": {"folder": "letters"}}},
    "invitations": {"batch": 5},
}


@pytest.mark.parametrize("seed", [1])
def test_each_letter_is_in_one_batch_however_often_the_daemon_dies(tmp_path: Path, seed: int) -> None:
    daemon, dice, tick = DaemonProcess(tmp_path, changes=CHANGES), random.Random(seed), threading.Event()
    store, folder = Store(daemon.database_url), tmp_path / "letters"
    with daemon:
        wire = Wire(daemon.ports.listeners["pas"])
        wire.write(stream(*(a28(number, mobile="") for number in range(PEOPLE))))
        assert {msa(wire.receive())[0] for _ in range(PEOPLE)} == {"AA"}
        wire.socket.close()
        for kill in range(KILLS):
            goal = (kill + 1) * PEOPLE // (KILLS + 2)
            eventually(lambda goal=goal: written(folder) >= goal, "letters to be written")  # type: ignore[misc]
            tick.wait(dice.random() / 10)  # any instant
            daemon.kill()
            assert set(handed_over(folder).values()) <= {1}
            daemon.start()
        eventually(lambda: accepted(store) == PEOPLE, "every letter to be accepted")
        eventually(lambda: len(handed_over(folder)) == PEOPLE, "every letter to be in a batch")
        assert daemon.terminate() == 0
    assert handed_over(folder) == dict.fromkeys(references(store), 1)


def written(folder: Path) -> int:
    """How many letters lie in the drop folder, in a batch or on their way into one."""
    return sum(1 for path in folder.rglob("*.pdf") if not path.name.startswith("."))


def accepted(store: Store) -> int:
    return int(store.one("SELECT count(*) FROM outbox WHERE state = 'accepted'"))


def references(store: Store) -> list[str]:
    return [str(reference) for (reference,) in store.rows("SELECT reference FROM outbox")]

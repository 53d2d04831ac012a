"""``kill -9`` while everybody sends: nothing acknowledged is lost, nothing is applied, invited or delivered twice."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.patience import eventually
from tests.support.senders import Senders
from tests.support.store import Store

CAMPAIGN = bool(os.environ.get("DOORSTEP_CAMPAIGN"))
SEEDS = range(20 if CAMPAIGN else 1)
CHANGES = {"delivery": {"lease": "1s"}}


@pytest.mark.parametrize("seed", SEEDS)
def test_kill_at_any_instant_on_sqlite(tmp_path: Path, seed: int) -> None:
    survive(DaemonProcess(tmp_path, changes=CHANGES), kills=25 if CAMPAIGN else 4, seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_kill_at_any_instant_on_postgresql(tmp_path: Path, postgres_url: str, seed: int) -> None:
    survive(DaemonProcess(tmp_path, postgres_url, changes=CHANGES), kills=10 if CAMPAIGN else 2, seed=seed)


def survive(daemon: DaemonProcess, *, kills: int, seed: int) -> None:
    """Kill and start again, while 32 senders send and the scheduler invites every second; then look at what is left."""
    dice = random.Random(seed)
    store = Store(daemon.database_url)
    tick = threading.Event()
    with daemon, Senders(daemon.ports.listeners["pas"], seed=seed) as senders:
        for kill in range(kills):
            goal = senders.count + dice.randrange(50, 500)
            eventually(lambda goal=goal: senders.count >= goal, "senders to be answered")  # type: ignore[misc]
            if kill % 2:  # with deliveries under way
                eventually(daemon.spool.files, "deliveries")
            tick.wait(dice.random() / 20)  # any instant
            senders.port = 0
            daemon.kill()
            store.assert_whole()
            store.assert_once(set(senders.acknowledged))
            senders.port = daemon.start().ports.listeners["pas"]
        senders.finish()
        assert not senders.faults
        assert not senders.refused
        store.assert_once(set(senders.acknowledged))
        assert store.one("SELECT count(*) FROM patient_records") == len(senders.people)
        daemon.kill()
        eventually(lambda: not leased(store), "leases of the dead to end")
        daemon.start()
        eventually(lambda: settled(store, len(senders.people)), "everybody to be invited")
        assert daemon.terminate() == 0
    store.assert_whole()
    store.assert_once(set(senders.acknowledged))
    store.assert_invited_once()
    assert store.one("SELECT count(*) FROM patient_records") == len(senders.people)
    assert store.one("SELECT count(*) FROM journal") == len(senders.acknowledged)
    assert delivered(daemon, store) == len(senders.people)


def leased(store: Store) -> int:
    """Count entries that a process of the past still holds."""
    return int(
        store.one(
            "SELECT count(*) FROM outbox WHERE state IN ('claimed', 'sending') AND lease_until > :now",
            now=store.micros(),
        )
    )


def settled(store: Store, people: int) -> bool:
    """Whether everybody has an invitation whose delivery has ended."""
    return bool(store.one("SELECT count(*) FROM outbox WHERE state = 'accepted'") == people)


def delivered(daemon: DaemonProcess, store: Store) -> int:
    """Count who got a file; nobody got two, and no file is nobody's."""
    owner = {row.reference: row.record_id for row in store.rows("SELECT reference, record_id FROM outbox")}
    files = [path.stem for path in daemon.spool.files()]
    people = [owner[reference] for reference in files]
    assert len(people) == len(set(people)), "somebody was written to twice"
    return len(people)

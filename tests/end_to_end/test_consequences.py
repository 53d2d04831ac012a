"""What a message ends, it ends in its own transaction: with the ACK, queued invitations and pairs are at their end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import msa
from tests.support.patience import eventually
from tests.support.store import Store

DEATH = "|" * 15 + "|Y"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[DaemonProcess]:
    """A daemon whose spool is not there, so that what it issues stays queued: a folder that goes is not made anew."""
    daemon = DaemonProcess(tmp_path, changes={"delivery": {"first_retry": "1h"}})
    with daemon:
        (tmp_path / "spool" / "sms").rmdir()
        yield daemon


def queued(daemon: DaemonProcess, store: Store) -> None:
    """Register a person and wait until their invitation was tried and is queued again."""
    with daemon.wire() as wire:
        assert msa(wire.exchange(a28(1)))[0] == "AA"
    eventually(
        lambda: store.rows("SELECT state, attempt FROM outbox") == [("queued", 1)], "the invitation to wait for a retry"
    )
    assert store.rows("SELECT ended_at FROM access_tokens") == [(None,)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (a28(1, "DEATH", event="A31", tail=DEATH), "deceased"),
        (a28(1, "STALE-DEATH", event="A31", at="20200101000000+0000", tail=DEATH), "deceased"),
        (a28(1, "BIRTH", event="A31", birth="19800301"), "new_date_of_birth"),
    ],
    ids=["death", "stale death", "date of birth"],
)
def test_an_acknowledged_message_has_ended_what_it_ends(daemon: DaemonProcess, change: bytes, reason: str) -> None:
    store = Store(daemon.database_url)
    queued(daemon, store)
    with daemon.wire() as wire:
        assert msa(wire.exchange(change))[0] == "AA"
        daemon.kill()  # at once: what is not in the message's own transaction will never be
    first = "SELECT state, code, sealed_payload FROM outbox ORDER BY id LIMIT 1"
    assert store.rows(first) == [("cancelled", reason, None)]
    ended = "SELECT ended_at IS NOT NULL, end_reason, wrapped_key FROM access_tokens ORDER BY id LIMIT 1"
    assert [(bool(gone), why, key) for gone, why, key in store.rows(ended)] == [(True, reason, None)]


def test_a_person_with_another_date_of_birth_is_invited_again_and_a_dead_one_is_not(daemon: DaemonProcess) -> None:
    store = Store(daemon.database_url)
    queued(daemon, store)
    with daemon.wire() as wire:
        wire.exchange(a28(1, "BIRTH", event="A31", birth="19800301"))
        eventually(lambda: store.one("SELECT count(*) FROM access_tokens WHERE ended_at IS NULL") == 1, "a new pair")
        wire.exchange(a28(1, "DEATH", event="A31", birth="19800301", tail=DEATH))
    assert store.one("SELECT count(*) FROM access_tokens WHERE ended_at IS NULL") == 0
    story = daemon.json("explain", "1^^^RX1^MR")
    assert (story["state"], story["eligible"]) == ("deceased", False)
    assert [message["control_id"] for message in story["messages"]] == ["1-A28", "BIRTH", "DEATH"]


def test_a_change_that_is_none_ends_nothing(daemon: DaemonProcess) -> None:
    store = Store(daemon.database_url)
    queued(daemon, store)
    with daemon.wire() as wire:
        assert msa(wire.exchange(a28(1, "NAME", event="A31", family="Newname")))[0] == "AA"
        assert msa(wire.exchange(a28(1, "OLD", event="A31", at="20200101000000+0000", birth="19700101")))[2] == "stale"
    assert store.rows("SELECT state FROM outbox") == [("queued",)]
    assert store.rows("SELECT ended_at FROM access_tokens") == [(None,)]

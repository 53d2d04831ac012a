"""The proof of delivery: the real daemon is killed at every step of sending, and the provider counts (SPEC 5.3).

Whatever a provider answers, and wherever the daemon dies: nobody is sent two messages for one business key, and no
entry is lost. Each ends *accepted*, *refused*, or *unknown* and listed for a person (due never), and what the database
says of it is what the provider's ledger says.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks import feed
from benchmarks.seeding import seed
from daemon.fake_providers.notify_api import FAKE_KEY
from daemon.fake_providers.script import Act, Part, Script
from tests.support.daemon_process import DaemonProcess, merged
from tests.support.dying_daemon import ALL_STEPS, DYING_AT
from tests.support.fake_street import FakeStreet
from tests.support.feed import a28
from tests.support.patience import eventually
from tests.support.store import Store
from tests.support.tree import ROOT

CAMPAIGN = bool(os.environ.get("DOORSTEP_CAMPAIGN"))
SEEDS = range(20 if CAMPAIGN else 1)
PEOPLE = 60 if CAMPAIGN else 24
SURE_STEPS = ("claimed", "prepared", "marked", "calling", "called", "finished")
DEATHS = 2 * len(ALL_STEPS) if CAMPAIGN else 4

SHARED = 10_000 if CAMPAIGN else 400

OPEN = "state NOT IN ('accepted', 'refused', 'given_up', 'cancelled', 'expired')"
LISTED = "state = 'unknown' AND due_at IS NULL"

RULES = {
    "accepted": ["200 status=0"],
    "refused": ["200 status=3"],
    "not_sent": ["429"],
    "timeout": "800ms",
}
HTTP_MIX = [
    Act(weight=4),
    Act(weight=2, wait=0.1),
    Act("answer", status=429, weight=2),
    Act("answer", status=500, weight=1),
    Act("answer", status=500, record=True, weight=1),
    Act("drop", weight=1),
    Act("drop", record=True, weight=1),
    Act("hang", weight=0.3),
    Act("hang", record=True, weight=0.3),
]
NOTIFY_MIX = [msgspec.structs.replace(act, status=403) if act.status == 429 else act for act in HTTP_MIX]
"""After a 429 of Notify a message waits for a minute."""
REFUSED = Act("answer", status=200, body='{"status": "3"}')
FOUND_LATER = Act("drop", record=True, visible_after=0.1)
NOT_A_NUMBER = Act("answer", status=400, text="ValidationError: phone_number Not enough digits")
SMTP_MIX = [
    Act(weight=4),
    Act(weight=2, wait=0.1),
    Act("answer", at="rcpt", status=450, text="4.2.0 greylisted"),
    Act("answer", at="rcpt", status=550, text="5.1.1 unknown"),
    Act("answer", at="end", status=452, text="4.3.1 full"),
    Act("drop", at="rcpt"),
    Act("drop", at="body"),
    Act("drop", weight=1),
    Act("drop", record=True, weight=1),
    Act("hang", weight=0.3),
    Act("hang", record=True, weight=0.3),
]


def gateway(street: FakeStreet, **more: Any) -> dict[str, Any]:
    """A supplier who can do what ``more`` says."""
    http = {"url": f"{street.url}/sms", **RULES, **more}
    return {"invitations": {"channels": ["sms"]}, "delivery": {"sms": {"provider": "http", "http": http}}}


def searchable(street: FakeStreet) -> dict[str, Any]:
    return gateway(street, search_url=street.url + "/sms?reference={reference}", settle_after="300ms")


def deduplicating(street: FakeStreet) -> dict[str, Any]:
    return gateway(street, idempotency_header="Idempotency-Key", deduplicates=True)


def notify(street: FakeStreet) -> dict[str, Any]:
    service = {
        "key": FAKE_KEY,
        "url": street.url,
        "sms_template": "template",
        "settle_after": "300ms",
        "timeout": "800ms",
    }
    return {"invitations": {"channels": ["sms"]}, "delivery": {"sms": {"provider": "notify"}, "notify": service}}


def mail(street: FakeStreet) -> dict[str, Any]:
    smtp = {
        "host": "127.0.0.1",
        "port": street.ports.smtp,
        "tls": "none",
        "sender": "Example Hospital <noreply@hospital.example>",
        "timeout": "800ms",
    }
    return {"invitations": {"channels": ["email"]}, "delivery": {"email": {"provider": "smtp", "smtp": smtp}}}


PROVIDERS: dict[str, tuple[Callable[[FakeStreet], dict[str, Any]], bool]] = {
    "neither": (gateway, False),
    "searchable": (searchable, True),
    "deduplicates": (deduplicating, True),
    "notify": (notify, True),
    "smtp": (mail, False),
}
"""Each provider, and whether an unknown outcome can be settled with it."""


class DyingDaemon(DaemonProcess):
    """A daemon that dies at a step when told to."""

    def die_at(self, step: str, count: int, *, or_until: Callable[[], bool]) -> bool:
        """Let it live until that step, or until there is nothing left to do; gives whether it died by itself."""
        self.environment[DYING_AT] = f"{step}:{count}"
        self.start(wait=False)
        try:
            return self._died(step, or_until)
        finally:
            self.kill()
            del self.environment[DYING_AT]

    def _died(self, step: str, or_until: Callable[[], bool]) -> bool:
        eventually(lambda: self._running.poll() is not None or or_until(), f"death at {step} or the end")
        died = self._running.poll() is not None
        assert not died or self._running.returncode == -signal.SIGKILL, self.log_text[-4000:]
        return died

    def _command(self, *arguments: str) -> list[str]:
        if arguments[0] != "serve":
            return super()._command(*arguments)
        return [sys.executable, "-m", "tests.support.dying_daemon", *arguments, "--config", str(self.config)]


def script(seed: int) -> Script:
    return Script(
        smtp=moody(SMTP_MIX, seed),
        gateway=moody([*HTTP_MIX, REFUSED, FOUND_LATER], seed),
        notify=moody([*NOTIFY_MIX, NOT_A_NUMBER, FOUND_LATER], seed),
    )


def moody(mix: list[Act], seed: int) -> Part:
    """Two acts for each message, drawn from the mix, and then none but kind ones.

    Drawn for ever, one message in some hundreds fails eleven times in a row, and backs off for longer than a test.
    """
    return Part(steps=random.Random(seed).choices(mix, [act.weight for act in mix], k=2 * PEOPLE))


def daemon_for(folder: Path, database_url: str | None, changes: dict[str, Any]) -> DyingDaemon:
    patient = {"invitations": {"every": "1d"}, "delivery": {"lease": "2s", "first_retry": "100ms"}}
    return DyingDaemon(folder, database_url, merged(patient, changes), {"PYTHONPATH": str(ROOT)})


def invite(daemon: DyingDaemon, people: int) -> None:
    """Feed people and queue an invitation for each; nothing is sent yet."""
    with daemon, daemon.wire() as wire:
        for number in range(people):
            wire.send(a28(f"{number:06}", tail=f"^NET^Internet^p{number}@example.org"))
            assert b"|AA|" in wire.receive()
    invited = daemon.doorstep("invite")
    assert invited.returncode == 0, invited.stderr


def settled(store: Store) -> bool:
    return bool(store.one(f"SELECT count(*) FROM outbox WHERE {OPEN} AND NOT ({LISTED})") == 0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_nobody_is_sent_two_and_no_entry_is_lost_on_sqlite(tmp_path: Path, provider: str, seed: int) -> None:
    with FakeStreet(script(seed)) as street:
        make, _ = PROVIDERS[provider]
        survive(daemon_for(tmp_path, None, make(street)), street, provider, seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("provider", PROVIDERS if CAMPAIGN else ["searchable"])
def test_nobody_is_sent_two_and_no_entry_is_lost_on_postgresql(
    tmp_path: Path, postgres_url: str, provider: str, seed: int
) -> None:
    with FakeStreet(script(seed)) as street:
        make, _ = PROVIDERS[provider]
        survive(daemon_for(tmp_path, postgres_url, make(street)), street, provider, seed)


def survive(daemon: DyingDaemon, street: FakeStreet, provider: str, seed: int) -> None:
    """Die again and again, live on to the end, and hold the database against the ledger."""
    dice = random.Random(f"{provider} {seed}")
    store = Store(daemon.database_url)
    invite(daemon, PEOPLE)
    assert street.ledger.entries == []
    deaths = 0
    for number in range(DEATHS):
        step = dice.choice(ALL_STEPS if number else SURE_STEPS)
        deaths += daemon.die_at(step, dice.choice([1, 2, 5]) if number else 1, or_until=lambda: settled(store))
        assert_once(store, street)
    assert deaths >= 1
    daemon.start()
    eventually(lambda: settled(store), "every entry to end or to be listed")
    assert daemon.terminate() == 0
    assert_once(store, street)
    assert_accounted_for(store, street, can_settle=PROVIDERS[provider][1])


def assert_once(store: Store, street: FakeStreet) -> None:
    """Nobody was sent two, under one business key or two."""
    store.assert_invited_once()
    owner = {row.reference: row.business_key for row in store.rows("SELECT reference, business_key FROM outbox")}
    kept = Counter(owner[reference] for reference in street.references)
    assert [key for key, count in kept.items() if count > 1] == []


def assert_accounted_for(store: Store, street: FakeStreet, *, can_settle: bool) -> None:
    """Each entry ended as the provider's ledger says, or is listed for a person."""
    rows = store.rows("SELECT reference, state, due_at FROM outbox")
    assert len(rows) == PEOPLE
    sent = set(street.references)
    states = {row.reference: row.state for row in rows}
    accepted = {reference for reference, state in states.items() if state == "accepted"}
    listed = {row.reference for row in rows if row.state == "unknown" and row.due_at is None}
    refused = {reference for reference, state in states.items() if state == "refused"}
    assert accepted | listed | refused == set(states)
    assert accepted <= sent
    assert sent <= accepted | listed
    if can_settle:
        assert accepted
        assert not listed
    payloads = "SELECT count(*) FROM outbox WHERE sealed_payload IS NOT NULL AND NOT (" + LISTED + ")"
    assert store.one(payloads) == 0


def test_two_daemons_share_an_outbox_with_nothing_doubled_and_nothing_left(tmp_path: Path, postgres_url: str) -> None:
    with FakeStreet(Script(gateway=Part(mix=[Act(wait=0.02)]))) as street:
        changes = merged({"invitations": {"every": "1d"}}, gateway(street, timeout="25s"))
        both = one, other = [DaemonProcess(tmp_path / name, postgres_url, changes) for name in ("one", "other")]
        with one:
            pass  # makes the keys and the tables
        shutil.copy(one.folder / "keys.json", other.folder)
        store = Store(postgres_url)
        with one, other:
            seed(one.config, 0, {feed.SMS: SHARED})
            assert one.doorstep("invite").returncode == 0
            accepted = "SELECT count(*) FROM outbox WHERE state = 'accepted'"
            eventually(lambda: store.one(accepted) == SHARED, "everything to be sent", safety=900.0)
            assert one.terminate() == other.terminate() == 0
        assert len(street.references) == len(set(street.references)) == SHARED
        store.assert_invited_once()
        assert store.one("SELECT count(*) FROM attempts") == store.one("SELECT count(*) FROM outbox") == SHARED
        shares = [sum(line["count"] for line in daemon.logs if line.get("event") == "delivered") for daemon in both]
        assert sum(shares) == SHARED
        assert min(shares) > 0

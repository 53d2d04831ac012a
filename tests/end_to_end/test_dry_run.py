"""What ``doorstep invite --dry-run`` says, to people and to scripts, beside a daemon that invited somebody."""

from __future__ import annotations

from pathlib import Path

from tests.support.canary import message
from tests.support.daemon_process import DaemonProcess
from tests.support.mllp import msa
from tests.support.patience import eventually
from tests.support.store import Store

PRICES = {"sms_part": "0.02", "email": "0.001", "letter": "0.60"}
CHANGES = {"invitations": {"prices": PRICES, "reminders": [{"after": "2d", "channel": "sms"}]}}


def test_the_reminders_of_the_next_days_are_told_and_priced(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path, changes=CHANGES)
    with daemon:
        with daemon.wire() as wire:
            assert msa(wire.exchange(message()))[0] == "AA"
        daemon.spool.wait(1)
        store = Store(daemon.database_url)
        eventually(lambda: store.rows("SELECT 1 FROM outbox WHERE state = 'accepted'"), "the answer to be noted")
        said = daemon.json("invite", "--dry-run")
        told = daemon.doorstep("invite", "--dry-run").stdout
        assert daemon.terminate() == 0
    remind = said.pop("reminders")
    parts = remind["sms_parts"]
    assert parts > 1
    assert remind["would_remind"] == {"sms": 1}
    [day] = remind["days"]
    assert (day.pop("organisation"), len(day.pop("day")), day) == ("RX1", 10, {"sms": 1})
    assert (remind["later"], remind["why_not"]) == ({}, {})
    money = f"0.{parts * 2:02}"
    assert remind["cost"] == {"currency": "GBP", "sms": money, "email": "0.000", "letter": "0.00", "total": f"{money}0"}
    assert said["cost_in_all"] == f"{money}0"
    assert (said["would_invite"], said["days"], said["later"], said["sms_parts"]) == ({}, [], {}, 0)
    assert (said["why_not"], said["in_outbox"]) == ({"invited": 1}, {})
    assert "would remind: 1\n  sms: 1\n" in told
    assert told.endswith(f"cost in all: {money}0 GBP\n")

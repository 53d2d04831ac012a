"""Receipts from a provider's call to the staff's work-list, through the running daemon."""

from __future__ import annotations

from pathlib import Path

from daemon.fake_providers.callbacks import CallbackOptions
from daemon.fake_providers.notify_api import FAKE_KEY
from daemon.fake_providers.script import Act, Part, Receipt, Script
from tests.support.daemon_process import DaemonProcess
from tests.support.fake_street import FakeStreet
from tests.support.feed import a28
from tests.support.mllp import msa
from tests.support.patience import eventually
from tests.support.store import Store

SECRET = "what Notify shows"
ARRIVED = Act(receipts=[Receipt("delivered", times=2)])
NOBODYS = Act(receipts=[Receipt("permanent-failure", after=0.2), Receipt("sending", after=0.4)])
"""The word on the way overtaken by the one on the end."""


def test_a_callback_settles_a_message_and_a_dead_number_leads_to_the_next_channel(tmp_path: Path) -> None:
    with FakeStreet(Script(notify=Part(steps=[ARRIVED, NOBODYS]))) as street:
        service = {"key": FAKE_KEY, "url": street.url, "sms_template": "template", "callback_secret": SECRET}
        changes = {
            "invitations": {"channels": ["sms", "email"]},
            "delivery": {"sms": {"provider": "notify"}, "notify": service},
        }
        with DaemonProcess(tmp_path, None, changes) as daemon, daemon.wire() as wire:
            street.call_back(CallbackOptions(f"http://127.0.0.1:{daemon.ports.api}/receipts/notify", SECRET))
            store = Store(daemon.database_url)
            assert msa(wire.exchange(a28(1)))[0] == "AA"
            eventually(lambda: store.rows("SELECT 1 FROM receipts WHERE state = 'delivered' AND repeats = 1"), "both")
            assert msa(wire.exchange(a28(2, mobile="07700900999", tail="^NET^Internet^ada@example.org")))[0] == "AA"
            eventually(lambda: list(daemon.spool.folder.glob("email/*.eml")), "the email")
            eventually(lambda: store.one("SELECT count(*) FROM receipts") == 3, "the late receipt")
            assert daemon.doorstep("contacts", "bad", "--csv", "bad.csv").returncode == 0
            story = daemon.json("explain", "2^^^RX1^MR")
            spoken = [(each["channel"], each["end_reason"]) for each in story["invitations"]]
            heard = [(each["state"], each["permanent"]) for each in story["invitations"][0]["receipts"]]
        assert len(street.references) == len(set(street.references)) == 2
        assert spoken == [("sms", "bounced"), ("email", None)]
        assert heard == [("failed", True), ("sent", False)]
        assert "+447700900999" in (tmp_path / "bad.csv").read_text()

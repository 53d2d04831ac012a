"""`doorstep describe-feed` on a real daemon's database: it tells the feed, and nobody of it."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.support import canary
from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import msa


def test_the_feed_is_told_and_nobody_in_it(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        with daemon.wire() as wire:
            for number in range(6):
                assert msa(wire.exchange(canary.message(control_id=f"C{number}")))[0] == "AA"
            assert msa(wire.exchange(a28(1, sender="LAB", version="2.3")))[0] == "AA"
        told = daemon.doorstep("describe-feed")
        assert told.returncode == 0, told.stderr
        assert "ADT^A28 100 %" in told.stdout
        senders = {one["sender"]: one for one in daemon.json("describe-feed")}
        (ours,) = (name for name in senders if name != "LAB/RX1")
        assert senders["LAB/RX1"]["versions"] == {"2.3": 1}
        assert senders[ours]["messages"] == 6
        drafted = daemon.doorstep("describe-feed", "--draft-profile", "--sender", ours)
        assert tomllib.loads(drafted.stdout)["match"]
        for output in (told.stdout, str(senders), drafted.stdout, told.stderr, daemon.log_text):
            canary.assert_absent(output, "what describe-feed says")
        several = daemon.doorstep("describe-feed", "--draft-profile")
        assert several.returncode == 2
        assert "LAB/RX1" in several.stderr
        assert daemon.doorstep("describe-feed", "--sender", "NO/ONE").stdout.startswith("nothing was received")

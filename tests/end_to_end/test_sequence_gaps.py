"""Gaps in MSH-13: counted, logged and shown, across a restart too; and never a reason to refuse."""

from __future__ import annotations

from pathlib import Path

from tests.support.daemon_process import DaemonProcess
from tests.support.feed import a28
from tests.support.mllp import msa
from tests.support.patience import eventually


def numbered(number: int, sender: str = "PAS") -> bytes:
    return a28(number, sender=sender, header=f"|{number}")


def test_gaps_are_counted_and_shown_and_everything_is_applied(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path) as daemon:
        with daemon.wire() as wire:
            for message in (numbered(1), numbered(2), numbered(5), numbered(2), numbered(7, "LAB"), a28(9, sender="X")):
                assert msa(wire.exchange(message))[0] == "AA"
        assert 'doorstep_sequence_gaps_total{listener="pas"} 1.0' in daemon.get("/metrics").text
        (line,) = eventually(lambda: [each for each in daemon.logs if each.get("event") == "sequence_gap"], "the line")
        assert (line["sender"], line["count"]) == ("PAS/RX1", 2)
        assert daemon.terminate() == 0
        daemon.start()
        with daemon.wire() as wire:
            assert msa(wire.exchange(numbered(7)))[0] == "AA"  # 6 did not come while nobody listened
        eventually(lambda: "2 gaps, 3 numbers missing" in daemon.doorstep("status").stdout, "the second gap")
        assert daemon.doorstep("status").stdout.count("sequence numbers") == 1

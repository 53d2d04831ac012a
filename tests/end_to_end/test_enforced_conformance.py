"""Enforced conformance in the real daemon: refused, counted in the sender's report, shown by a command."""

from __future__ import annotations

from pathlib import Path

from tests.integration.test_conformance_gate import bad, good
from tests.support.daemon_process import DaemonProcess
from tests.support.mllp import msa
from tests.support.patience import eventually

LISTENER = {"name": "pas", "host": "127.0.0.1", "port": 0, "validation": "enforce"}


def found(daemon: DaemonProcess) -> dict[tuple[str, str], int]:
    return {(one["rule"], one["place"]): one["count"] for one in daemon.json("findings", "--sender", "PAS/RX1")}


def test_what_is_refused_is_in_the_sender_s_report(tmp_path: Path) -> None:
    with DaemonProcess(tmp_path, changes={"listeners": [LISTENER]}) as daemon:
        with daemon.wire() as wire:
            assert [msa(wire.exchange(message))[0] for message in (good(1), bad(2), bad(3))] == ["AA", "AE", "AE"]
        expected = {("missing_required", "PV1"): 2, ("not_in_table", "PID-8"): 2}
        eventually(lambda: found(daemon) == expected, "the report of both")
        assert "PID-8" in daemon.doorstep("findings").stdout
        assert daemon.json("findings", "--sender", "X/Y") == []
        eventually(lambda: "doorstep_conformance_faulty 2.0" in daemon.get("/metrics").text, "the gauge")
        assert daemon.terminate() == 0


def test_a_replay_judges_again_and_a_person_may_resubmit_all_the_same(tmp_path: Path) -> None:
    """The command, with a checking process of its own, beside the daemon."""
    with DaemonProcess(tmp_path, changes={"listeners": [LISTENER]}) as daemon:
        with daemon.wire() as wire:
            assert msa(wire.exchange(bad(2)))[0] == "AE"
        assert daemon.json("replay", "--dry-run")["outcomes"] == {"rejected": 1}
        assert daemon.json("replay")["outcomes"] == {"rejected": 1}
        [waiting] = daemon.json("quarantine", "list")
        assert daemon.json("quarantine", "resubmit", str(waiting["id"]))[0]["outcome"] == "applied"
        assert daemon.terminate() == 0

"""One patient whose every value is recognisable goes the whole way, and leaves no trace but the one that is meant.

Malformed, oversized, in the wrong charset, in the wrong place, while storage fails and while the daemon is killed: no
log line, metric, command or error says anything of the patient, and the database's files hold no value, code or token.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.canary import VALUES, assert_absent, leaks, message
from tests.support.daemon_process import DaemonProcess
from tests.support.mllp import msa
from tests.support.patience import eventually
from tests.support.store import Store

SEPARATORS = [b"\n", b"\r\n", b" ", b"\\r", b"\x85", b"\x1e", b"<CR>", b"", b"|"]
"""What stands between segments in the feeds of engines that somebody configured late in the evening."""


def variants() -> Iterator[bytes]:
    """Give the canary in every form in which it may come and not be understood."""
    whole = message(control_id="V0")
    yield message("A31", "CANARY-2", at="20240305111500+0000")
    short = message(control_id="V8", MSH="MSH|^~\\&|PAS|RX1|doorstep|RX1|20240305||ADT^A28|V8|P|2.5.1")
    shortest = message(control_id="V9", MSH="MSH|^~\\&|PAS|RX1|doorstep|RX1|20240305||ADT^A28|V9", EVN="")
    for form in (whole, short, short.replace(b"EVN|A28|20240305101500+0000\r", b""), shortest):
        yield from (form.replace(b"\r", separator) for separator in SEPARATORS)
    yield whole.replace(b"UNICODE UTF-8", b"UTF-99")
    yield whole.decode().encode("latin-1", "replace").replace(b"V0", b"V1")
    yield whole.decode().encode("utf-16")
    yield whole[whole.index(b"PID") :]
    yield whole.replace(b"MSH|", b"MSG|")
    yield whole.replace(b"ADT^A28", b"ORM^O01")
    yield whole.replace(b"|P|2.5.1", b"|P|3.0")
    yield whole.replace(b"|P|2.5.1", b"|X|2.5.1")
    yield whole.replace(b"|V0|", b"||")
    yield whole.replace(b"ADT^A28", b"ADT^")
    yield message(control_id="V2", PID="PID|||||" + VALUES["PID-5 family"])
    yield message(control_id="V3").replace(b"|", b"#").replace(b"MSH#", b"MSH|")
    yield message(control_id="V4").replace(b"^", b"|")
    yield message(control_id="V5") * 2
    yield message(control_id="V6", NK1="NK1|" + "~" * 5000)
    yield message(control_id="V7") + b"OBX|1|ED|X||" + b"A" * (2 << 20)


def speak(daemon: DaemonProcess, octets: bytes) -> bytes:
    """Write to the listener, say goodbye, and give all that came back."""
    with daemon.wire() as wire:
        try:
            wire.write(octets)
            wire.half_close()
        except OSError:
            pass  # it had enough
        return b"".join(wire.remaining())


def surfaces(daemon: DaemonProcess) -> dict[str, str]:
    """Everything that the running daemon shows to people who may not see a patient."""
    shown = {path: daemon.get(path).text for path in ("/metrics", "/healthz", "/readyz", "/nowhere")}
    for arguments in (
        ("status",),
        ("status", "--json"),
        ("explain", f"{VALUES['PID-3 local']}^^^RX1^MR"),
        ("explain", f"{VALUES['PID-3 local']}^^^RX1^MR", "--json"),
        ("invite", "--dry-run"),
        ("check-config",),
    ):
        result = daemon.doorstep(*arguments)
        shown[" ".join(arguments[:1])] = result.stdout + result.stderr
    return shown


def test_no_surface_says_anything_of_a_patient(tmp_path: Path) -> None:
    daemon = DaemonProcess(tmp_path)
    with daemon:
        with daemon.wire() as wire:
            assert msa(wire.exchange(message()))[0] == "AA"
        (delivery,) = daemon.spool.wait(1)
        assert leaks(delivery.path.read_bytes()), "the canary itself must sing: its invitation names a person"
        answers = [speak(daemon, b"\x0b" + variant + b"\x1c\r") for variant in variants()]
        speak(daemon, message())  # no frame at all
        speak(daemon, b"\x0b" + message())  # a frame that never ends
        speak(daemon, b"\x0b" + message() + b"\x0b" + message() + b"\x1c\r")
        for where, text in surfaces(daemon).items():
            assert_absent(text, where)
        with daemon.wire() as wire:
            errors = [answer for answer in answers if b"MSA|AE" in answer]
            assert errors
            assert all(b"Kanari" not in answer for answer in errors)
            assert msa(wire.exchange(message(control_id="LAST")))[0] == "AA"
        assert daemon.terminate() == 0
    assert_absent(daemon.log_text, "the log")
    assert_absent(Store(daemon.database_url).bytes(), "the database")
    pair = {"code": delivery.pair[0], "token": delivery.pair[1]}
    assert_absent(Store(daemon.database_url).bytes(), "the database", pair)
    assert_absent(daemon.log_text, "the log", pair)


def test_a_storage_failure_says_nothing_of_whom_it_concerned(tmp_path: Path) -> None:
    """The database file is put away, and the driver has a lot to say about the rows that it could not write."""
    daemon = DaemonProcess(tmp_path, changes={"invitations": {"every": "1h"}})
    with daemon:
        with daemon.wire() as wire:
            assert msa(wire.exchange(message()))[0] == "AA"
        Store(daemon.database_url).rows("SELECT 1")
        breaking = Store(daemon.database_url)
        breaking.change("ALTER TABLE journal RENAME TO journal_away")
        assert speak(daemon, b"\x0b" + message("A31", "CANARY-3", at="20240306111500+0000") + b"\x1c\r") == b""
        eventually(lambda: any(line.get("event") == "storage_failed" for line in daemon.logs), "the failure")
        for where, text in surfaces(daemon).items():
            assert_absent(text, where)
        breaking.change("ALTER TABLE journal_away RENAME TO journal")
        with daemon.wire() as wire:
            assert msa(wire.exchange(message("A31", "CANARY-3", at="20240306111500+0000")))[0] == "AA"
    assert_absent(daemon.log_text, "the log")


@pytest.mark.parametrize("moment", range(6 if os.environ.get("DOORSTEP_CAMPAIGN") else 2))
def test_what_a_killed_daemon_leaves_on_the_disk_has_nobody_in_it(tmp_path: Path, moment: int) -> None:
    """Killed while a pair is queued (its spool is gone) or as soon as the first file is there."""
    daemon = DaemonProcess(tmp_path, changes={"delivery": {"lease": "1s"}})
    store = Store(daemon.database_url)
    with daemon:
        if moment % 2:
            (tmp_path / "spool" / "sms").rmdir()
        with daemon.wire() as wire:
            assert msa(wire.exchange(message()))[0] == "AA"
        if moment % 2:
            eventually(lambda: store.one("SELECT count(*) FROM outbox WHERE attempt > 0"), "a first attempt")
        else:
            daemon.spool.wait(1)
        daemon.kill()
        left = store.bytes() + (tmp_path / "keys.json").read_bytes() + daemon.log_text.encode()
        if moment % 2:
            (tmp_path / "spool" / "sms").mkdir()
        daemon.start()
        (delivery,) = daemon.spool.wait(1)
        code, token = delivery.pair
        assert_absent(left, "what was left behind")
        assert_absent(left + store.bytes(), "what was left behind", {"code": code, "token": token})
        assert daemon.terminate() == 0
    assert_absent(store.bytes(), "the database", {**VALUES, "code": code, "token": token})

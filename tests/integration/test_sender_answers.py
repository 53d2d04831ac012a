"""Over the wire: each sender is answered as its profile says, also where several share a listener."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.settings.senders import load_profiles
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import msa

NO_NAME = a28(1, "NO-NAME", sender="IRIS").replace(b"Testperson^Tess", b"")
OWN = {
    "iris-feed": '[match]\napplication = ["IRIS"]\n[acknowledgment]\npassing = "AR"\npermanent = "AE"\n',
    "quiet": '[match]\napplication = ["QUIET"]\n[acknowledgment]\ncontent = "AA"\nheld = "AR"\n',
    "old": '[match]\napplication = ["OLD"]\n[text]\ncharset = "windows-1252"\n',
}


@pytest.fixture
def listening(sqlite_url: str, tmp_path: Path) -> Iterator[Listening]:
    for name, text in OWN.items():
        (tmp_path / f"{name}.toml").write_text(text)
    with Listening(sqlite_url, senders=load_profiles(tmp_path).of("pas", "")) as listening:
        yield listening


def code(listening: Listening, message: bytes) -> str:
    with listening.wire() as wire:
        return msa(wire.exchange(message))[0]


def test_what_never_can_be_taken_is_answered_so_that_this_sender_stops(listening: Listening) -> None:
    assert code(listening, a28(1, "V3", version="3.0", sender="PAS")) == "AR"
    assert code(listening, a28(1, "V3", version="3.0", sender="IRIS")) == "AE"


def test_what_could_be_mended_is_answered_as_the_sender_needs_and_waits_all_the_same(listening: Listening) -> None:
    assert code(listening, NO_NAME) == "AE"
    assert code(listening, NO_NAME.replace(b"IRIS", b"QUIET")) == "AA"
    assert listening.quarantine == ["required field missing: PID-5"] * 2
    assert [row["answer"] for row in listening.rows("journal")] == ["AE", "AA"]


def test_what_was_lost_or_failed_on_our_side_is_never_told_that_all_is_well(
    listening: Listening, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = b"BHS|^~\\&|QUIET|RX1\r" + a28(1, "IN-BATCH", sender="QUIET") + b"BTS|2\r"
    assert code(listening, lost) == "AE"

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("hl7_listener.interpreter.interpret", fail)
    assert code(listening, a28(1, "FAILS", sender="QUIET")) == "AE"


def test_a_passing_fault_is_answered_so_that_this_sender_tries_again(listening: Listening) -> None:
    listening.broken.set()
    assert code(listening, a28(1, sender="IRIS")) == "AR"
    with listening.wire() as wire:
        wire.send(a28(1, sender="PAS"))
        with pytest.raises(EOFError):
            wire.receive()
    listening.broken.clear()
    assert code(listening, a28(1, sender="IRIS")) == "AA"


def test_a_held_message_is_answered_as_the_sender_needs(listening: Listening) -> None:
    both = "1^^^RX1^MR~2^^^RX1^PI"
    for person in ("1^^^RX1^MR", "2^^^RX1^PI"):
        assert code(listening, a28(1, person, sender="QUIET").replace(b"1^^^RX1^MR", person.encode())) == "AA"
    mixed = a28(1, "BOTH", sender="QUIET").replace(b"1^^^RX1^MR", both.encode())
    assert code(listening, mixed) == "AR"
    assert code(listening, mixed.replace(b"QUIET", b"PAS")) == "AA"


def test_each_sender_has_its_own_character_set(listening: Listening) -> None:
    for number, sender in enumerate(("OLD", "PAS")):
        message = a28(number, sender=sender).replace(b"Testperson", "Müller".encode())
        assert code(listening, message.replace(b"|P|2.5\r", b"|P|2.5||||||UNICODE UTF-8\r")) == "AA"
    found = [listening.hospital.find(value) for value in ("0", "1")]
    assert [record.demographics.names[0].family for record in found if record] == ["MÃ¼ller", "Müller"]

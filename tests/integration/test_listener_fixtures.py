"""The fixtures once more, over a real socket: what their contract says of a batch holds for the whole way."""

from __future__ import annotations

import pytest

from hl7_listener.framing import encode
from tests.support.feed import a28
from tests.support.fixtures import Fixture, FrameFixture, fixtures, frame_fixtures
from tests.support.listening import Listening
from tests.support.mllp import msa

LAST = "LAST-ONE-SENT"


@pytest.mark.parametrize("fixture", fixtures(), ids=lambda fixture: fixture.name)
def test_a_fixture_over_the_wire(sqlite_url: str, fixture: Fixture) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        for number, message in enumerate(fixture.story):
            wire.write(encode(message.raw.strip(b"\x0b\x1c")) + encode(a28(f"L{number}", f"{LAST}-{number}")))
            answers = []
            while (answer := msa(wire.receive()))[1] != f"{LAST}-{number}":
                answers.append(answer)
        assert [code for code, _, _ in answers] == [fixture.expected.answer] * bool(fixture.expected.answer)
        assert all(text.startswith(fixture.expected.text) for _, _, text in answers)
        entries = [row for row in listening.rows("journal") if not row["control_id"].startswith(LAST)]
        if fixture.expected.outcome == "duplicate":
            assert sum(row["repeats"] for row in entries) == 1
        else:
            assert entries[-1]["outcome"] == fixture.expected.outcome
        assert listening.told.errors == []


@pytest.mark.parametrize("chunk", [1, 1 << 20], ids=["byte by byte", "at once"])
@pytest.mark.parametrize("fixture", frame_fixtures(), ids=lambda fixture: fixture.name)
def test_a_stream_over_the_wire(sqlite_url: str, fixture: FrameFixture, chunk: int) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        stream = fixture.stream
        wire.write(*(stream[start : start + chunk] for start in range(0, len(stream), chunk)))
        wire.half_close()
        assert tuple(msa(answer)[0] for answer in wire.remaining()) == fixture.expected.answers
    reasons = [row for row in listening_quarantine(sqlite_url) if row.startswith("junk")]
    assert len(reasons) == fixture.expected.kept


def listening_quarantine(url: str) -> list[str]:
    """Look once the listener has stopped, and so has kept everything that it will."""
    with Listening(url) as listening:
        return listening.quarantine

"""Messages that nobody here wrote: each gets exactly the answers that SPEC 3.3 says, on a connection that stays.

The corpus is not part of this project; where its folder is absent these tests are skipped.
"""

from __future__ import annotations

import contextlib
import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from hl7_listener.batch import Batch
from hl7_listener.framing import FS, VT, encode
from tests.support.feed import a28
from tests.support.hospital import Hospital
from tests.support.listening import Listening
from tests.support.mllp import msa

CORPUS = Path(__file__).resolve().parents[2] / "../shared/corpus"
FILES = sorted(CORPUS.glob("*.hl7"))
NEEDS_CORPUS = pytest.mark.skipif(not FILES, reason=f"no corpus of public messages at {CORPUS}")
LAST = "THE-LAST-ONE"


def payload(path: Path) -> bytes:
    """Give the bytes of one file, without MLLP framing of their own."""
    return path.read_bytes().replace(VT, b"").replace(FS, b"")


def header(raw: bytes) -> list[str]:
    """Read MSH with the simplest means: MSH-n is at n - 1; nothing when there is none at the start."""
    text = raw.lstrip(b"\xef\xbb\xbf \t\r\n\0").decode("latin-1")
    if text[:3].upper() != "MSH" or len(text) < 4:
        return []
    return (re.split("[\r\n]", text, maxsplit=1)[0].split(text[3]) + [""] * 20)[:20]


def asked_for(raw: bytes, code: str) -> list[str]:
    """Say which answers SPEC 3.3 asks for, given the verdict AA, AE or AR."""
    msh = header(raw)
    if msh and msh[8].split(msh[1][:1] or "^")[0].strip().upper() == "ACK":
        return []
    modes = [value.strip().upper() if value.strip().upper() in {"AL", "NE", "ER", "SU"} else "" for value in msh[14:16]]
    if not msh or modes == ["", ""]:
        return [code]
    wants = ("AL", "SU") if code == "AA" else ("AL", "ER")
    if modes[0] in wants:
        return [{"AA": "CA", "AE": "CE", "AR": "CR"}[code]]
    return [code] if modes[1] in wants else []


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    made = Hospital(f"sqlite:///{tmp_path_factory.mktemp('corpus') / 'corpus.db'}")
    yield made
    made.close()


@contextlib.contextmanager
def fresh(folder: Path) -> Iterator[Listening]:
    with Listening(f"sqlite:///{folder / 'corpus.db'}") as listening:
        yield listening


@NEEDS_CORPUS
def test_every_message_gets_its_answers_and_the_connection_stays(tmp_path: Path) -> None:
    """One database for all of them, as a hospital would have it: their patients meet."""
    wrong = []
    with fresh(tmp_path) as listening, listening.wire() as wire:
        for number, path in enumerate(FILES):
            raw, last = payload(path), f"{LAST}-{number}"
            wire.write(encode(raw) + encode(a28(f"L{number}", last)))
            answers = []
            while (answer := msa(wire.receive()))[1] != last:
                answers.append(answer)
            entry = listening.rows("journal")[-2]
            if [code for code, _, _ in answers] != (asked_for(raw, entry["answer"]) if entry["answer"] else []):
                wrong.append((path.name, answers, entry["answer"]))
        assert listening.told.errors == []
        assert len(listening.rows("journal")) == 2 * len(FILES) - sum(
            row["repeats"] for row in listening.rows("journal")
        )
    assert not wrong


@NEEDS_CORPUS
def test_every_message_is_stored_as_it_came_and_a_good_one_is_a_duplicate_when_it_comes_again(tmp_path: Path) -> None:
    with fresh(tmp_path) as listening, listening.wire() as wire:
        for _ in range(2):
            for path in FILES:
                wire.write(encode(payload(path)))
            wire.write(encode(a28("L", LAST)))
            while msa(wire.receive())[1] != LAST:
                pass
        rows = listening.rows("journal")
    for row in rows:
        assert (row["repeats"] >= 1) == (row["answer"] == "AA"), row["control_id"]


@NEEDS_CORPUS
def test_answers_repeat_the_control_id_and_swap_the_applications(tmp_path: Path) -> None:
    with fresh(tmp_path) as listening, listening.wire() as wire:
        for number, path in enumerate(FILES):
            raw, last = payload(path), f"{LAST}-{number}"
            wire.write(encode(raw) + encode(a28(f"L{number}", last)))
            msh = header(raw)
            while msa(answer := wire.receive())[1] != last:
                if msh:
                    ours = answer.decode("latin-1").split("\r")[0].split(answer[3:4].decode())
                    assert ours[2:6] == [*msh[4:6], *msh[2:4]], path.name
                    assert msa(answer)[1] == msh[9], path.name
                    assert ours[10:12] == msh[10:12], path.name


class Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What some messages come to, and why; ``reason`` is how the journal's begins."""

    why: str
    outcome: str
    answer: str
    messages: str
    reason: str = ""


class Undone(Exception):
    """Takes back what a message did, so that the next one finds nobody."""


def judged() -> list[tuple[str, Judged]]:
    """Give every message's row of the table."""
    text = Path(__file__).with_name("corpus_outcomes.toml").read_text()
    rows = msgspec.convert(tomllib.loads(text), dict[str, list[Judged]])["judged"]
    return [(name, row) for row in rows for name in row.messages.split()]


def test_every_message_is_judged_once_in_the_table() -> None:
    names = [name for name, _ in judged()]
    assert len(names) == len(set(names))
    if FILES:
        assert set(names) == {path.stem for path in FILES}


@NEEDS_CORPUS
@pytest.mark.parametrize(("name", "row"), judged(), ids=[name for name, _ in judged()])
def test_a_message_comes_to_what_the_table_says(hospital: Hospital, name: str, row: Judged) -> None:
    raw = payload(CORPUS / f"{name}.hl7")
    with contextlib.suppress(Undone), hospital.database.begin() as connection:
        [settled] = Batch(hospital._stores, connection, datetime.now(UTC)).settle([hospital._arrival(raw, "RX1")])
        assert (settled.outcome, settled.code, settled.reason.startswith(row.reason)) == (
            row.outcome,
            row.answer,
            True,
        ), (settled.reason, row.why)
        raise Undone

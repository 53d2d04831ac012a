"""The key file: closed to others, whole or not at all, and the database knows whether it is the right one."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from patient_records import tables
from patient_records.errors import KeyFault
from patient_records.keys import Key, KeyRing, check_against_database, open_key_ring, read_key_file, write_key_file
from patient_records.unit_of_work import Database

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.json"


@pytest.fixture
def database(sqlite_url: str) -> Iterator[Database]:
    made = Database(sqlite_url)
    tables.metadata.create_all(made.engine)
    yield made
    made.close()


def ring(*organisations: str) -> KeyRing:
    return KeyRing([], {}).completed(organisations)


def same(one: KeyRing, two: KeyRing) -> bool:
    return one.keys == two.keys and one.current == two.current


def start(path: Path, database: Database, *organisations: str) -> KeyRing:
    with database.begin() as connection:
        return open_key_ring(path, connection, organisations, NOW)


def noted(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(tables.keys.c.key_id)))


def test_a_ring_survives_its_file(path: Path) -> None:
    made = ring("RX1", "RX2")
    write_key_file(path, made)
    read = read_key_file(path)
    assert same(read, made)
    assert read.pepper(read.pepper_id) == made.pepper(made.pepper_id)
    assert read.organisation_key("RX2").raw == made.organisation_key("RX2").raw
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_no_file_is_an_empty_ring(path: Path) -> None:
    assert read_key_file(path).keys == ()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o644, 0o660])
def test_a_file_that_others_can_touch_is_refused_with_the_mend(path: Path, mode: int) -> None:
    write_key_file(path, ring("RX1"))
    path.chmod(mode)
    with pytest.raises(KeyFault, match="chmod 600"):
        read_key_file(path)


def test_writing_over_an_open_file_closes_it_again(path: Path) -> None:
    write_key_file(path, ring("RX1"))
    path.chmod(0o644)
    write_key_file(path, ring("RX1"))
    assert path.stat().st_mode & 0o777 == 0o600


def damaged(change: Any) -> str:
    document: dict[str, Any] = {
        "format": 1,
        "current": {"pepper": "pepper.1"},
        "keys": [{"id": "pepper.1", "purpose": "pepper", "secret": base64.b64encode(bytes(32)).decode()}],
    }
    change(document)
    return json.dumps(document)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        damaged(lambda d: d.update(format=2)),
        damaged(lambda d: d.update(keys={})),
        damaged(lambda d: d.update(current=[])),
        damaged(lambda d: d["current"].update(blind_index="gone.1")),
        damaged(lambda d: d["keys"][0].update(secret="CANARY!!")),
        damaged(lambda d: d["keys"][0].update(secret=base64.b64encode(bytes(31)).decode())),
        damaged(lambda d: d["keys"][0].pop("id")),
        damaged(lambda d: d["keys"].append("CANARY")),
        damaged(lambda d: d["keys"].append(d["keys"][0])),
        "é",
    ],
)
def test_a_damaged_file_is_refused_and_says_so_without_its_content(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text, "utf-8")
    path.chmod(0o600)
    with pytest.raises(KeyFault, match=r"damaged|cannot be read") as raised:
        read_key_file(path)
    assert "CANARY" not in str(raised.value)
    assert raised.value.__suppress_context__


def test_a_file_cut_at_any_place_is_refused(path: Path) -> None:
    write_key_file(path, ring("RX1"))
    whole = path.read_text()
    for end in range(0, len(whole.rstrip()), 37):
        path.write_text(whole[:end])
        with pytest.raises(KeyFault):
            read_key_file(path)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = ring("RX1")
    write_key_file(path, old)

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_key_file(path, ring("RX1"))
    monkeypatch.undo()
    assert same(read_key_file(path), old)
    assert [file.name for file in path.parent.iterdir()] == ["keys.json"]


def test_only_missing_keys_are_made() -> None:
    before = ring("RX1")
    after = before.completed(["RX1", "RX2"])
    assert set(after.current) == {"blind_index", "pepper", "organisation:RX1", "organisation:RX2"}
    assert set(before.keys) < set(after.keys)
    assert after.completed(["RX2"]) is after
    assert len({key.secret for key in after.keys}) == len(after.keys) == 4


def test_ids_of_keys_never_repeat() -> None:
    # An organisation called "pepper" must not take the pepper's id.
    assert len({key.key_id for key in ring("pepper", "blind-index", "RX1").keys}) == 5


def test_an_old_key_still_opens_what_it_sealed() -> None:
    old = Key("RX1.1", "organisation", "RX1", bytes(32))
    new = Key("RX1.2", "organisation", "RX1", bytes([1]) * 32)
    rotated = KeyRing([old, new], {"organisation:RX1": "RX1.2"})
    assert rotated.organisation_key("RX1").key_id == "RX1.2"
    assert rotated.sealing_key("RX1.1").raw == old.secret


@pytest.mark.parametrize("ask", ["organisation_key", "sealing_key", "pepper"])
def test_a_key_that_is_not_there_is_named_with_the_mend(ask: str) -> None:
    with pytest.raises(KeyFault, match=r"RX9.*(restore|start doorstep)"):
        getattr(ring("RX1"), ask)("RX9")


def test_the_first_start_makes_and_notes_every_key(path: Path, database: Database) -> None:
    made = start(path, database, "RX1")
    assert same(read_key_file(path), made)
    assert noted(database) == {key.key_id for key in made.keys}
    assert same(start(path, database, "RX1"), made)


def test_a_new_organisation_gets_a_key_later(path: Path, database: Database) -> None:
    first = start(path, database, "RX1")
    second = start(path, database, "RX1", "RX2")
    assert set(first.keys) < set(second.keys)
    assert same(read_key_file(path), second)
    assert "RX2.1" in noted(database)


def test_a_lost_key_file_stops_the_start_and_is_not_made_anew(path: Path, database: Database) -> None:
    start(path, database, "RX1")
    path.unlink()
    with pytest.raises(KeyFault, match="restore it"):
        start(path, database, "RX1")
    assert not path.exists()


def test_one_lost_key_stops_the_start(path: Path, database: Database) -> None:
    made = start(path, database, "RX1", "RX2")
    kept = [key for key in made.keys if key.key_id != "RX2.1"]
    write_key_file(path, KeyRing(kept, {p: k for p, k in made.current.items() if k != "RX2.1"}))
    with pytest.raises(KeyFault, match=r"RX2\.1 is not in the key file"):
        start(path, database, "RX1")


def test_another_installations_key_file_stops_the_start(path: Path, database: Database) -> None:
    made = start(path, database, "RX1")
    write_key_file(path, ring("RX1"))
    with pytest.raises(KeyFault, match="restore the right key file"):
        start(path, database, "RX1")
    write_key_file(path, made)
    assert same(start(path, database, "RX1"), made)


def test_the_database_never_hears_of_a_key_that_is_not_in_the_file(
    path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(KeyFault, match="cannot be written"):
        start(path, database, "RX1")
    assert noted(database) == set()


def test_a_check_value_tells_one_key_from_another_and_nothing_else() -> None:
    one, two = (Key("k", "pepper", None, bytes([n]) * 32) for n in (1, 2))
    assert one.check_value != two.check_value
    assert one.check_value not in one.secret
    assert len(one.check_value) == 16


def test_a_database_without_keys_takes_any_ring(database: Database) -> None:
    with database.read() as connection:
        check_against_database(connection, ring("RX1"))

"""What is shredded is gone from the files, too, a sweep later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from patient_records.unit_of_work import Database
from tests.support.people import House, ScriptedProvider, person


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "doorstep.db"


@pytest.fixture
def house(file: Path) -> Iterator[House]:
    built = House(f"sqlite:///{file}")
    yield built
    built.close()


def sent(house: House, first: int = 0) -> list[bytes]:
    """Invite twenty people and deliver; gives the sealed payloads that were shredded."""
    house.arrive([person(first + number) for number in range(20)])
    house.issue.run()
    payloads = [row["sealed_payload"] for row in house.rows("outbox") if row["state"] == "queued"]
    house.lane(ScriptedProvider()).run()
    return [payload for payload in payloads if isinstance(payload, bytes)]


def on_disk(file: Path) -> bytes:
    return b"".join(part.read_bytes() for part in file.parent.iterdir())


def left(payloads: list[bytes], file: Path) -> int:
    whole = on_disk(file)
    return sum(payload in whole for payload in payloads)


def test_a_sweep_after_deliveries_leaves_no_payload_on_the_disk(house: House, file: Path) -> None:
    payloads = sent(house)
    assert left(payloads, file) == len(payloads) == 20
    house.sweep.run()
    assert left(payloads, file) == 0
    again = sent(house, 20)
    assert left(again, file) > 0
    house.sweep.run()
    assert left(again, file) == 0


def test_a_sweep_that_finds_a_reader_in_its_way_waits_for_nobody_and_comes_again(house: House, file: Path) -> None:
    payloads = sent(house)
    with house.database.read() as connection:
        house.database.now(connection)
        connection.exec_driver_sql("SELECT count(*) FROM outbox")
        house.sweep.run()
        assert left(payloads, file) > 0
    house.sweep.run()
    assert left(payloads, file) == 0


def test_a_log_is_emptied_only_after_something_was_shredded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    sent(house)
    emptied: list[str] = []

    def note() -> bool:
        emptied.append("emptied")
        return True

    monkeypatch.setattr(house.database, "empty_log", note)
    house.later(timedelta(seconds=1))
    for _ in range(3):
        house.sweep.run()
    assert emptied == ["emptied"]


def test_emptying_the_log_is_nothing_to_postgresql(postgres_url: str) -> None:
    database = Database(postgres_url)
    assert database.empty_log()
    database.close()

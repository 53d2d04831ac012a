"""Return files: each read once, its letters' entries told, its faults listed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from invites.channels.channel import LETTER, Accepted
from invites.return_files import ReturnFiles, ReturnsReport
from patient_records.errors import StorageUnavailable
from tests.support.outbox_rows import entry
from tests.support.people import House, PlainChannel, ScriptedProvider, person


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    """A house with two letters out."""
    built = House(database_url)
    built.arrive([person(number, home=()) for number in range(2)])
    built.issue.run()
    provider = ScriptedProvider(name="dropfolder")
    provider.outcome = Accepted("dropfolder")
    built.lane(provider, PlainChannel(LETTER)).run()
    yield built
    built.close()


def reader(house: House, folder: Path) -> ReturnFiles:
    later = timedelta(minutes=1)
    return ReturnFiles(
        folder, house.invites.receipts.take, "dropfolder", ZoneInfo("Europe/London"), lambda: datetime.now(UTC) + later
    )


def lines(*rows: str) -> str:
    return "\n".join(["reference,state,date", *rows])


def test_a_file_is_read_once_and_its_letters_are_told(house: House, tmp_path: Path) -> None:
    files, today = reader(house, tmp_path), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S+00:00}"
    first, second = (str(row["reference"]) for row in house.rows("outbox"))
    unknown = "ab" * 16
    (tmp_path / "day.csv").write_text(
        lines(f"{first},posted,{today}", f"{second},returned undelivered,{today}", f"x,posted,{today}",
              f"{unknown},posted,{today}")
    )  # fmt: skip
    assert files.run() == ReturnsReport(files=1, receipts=3, faults=1, unmatched=1)
    assert files.run() == ReturnsReport()
    assert sorted(path.name for path in (tmp_path / "done").iterdir()) == ["day.csv", "day.csv.faults.txt"]
    assert (tmp_path / "done" / "day.csv.faults.txt").read_text().splitlines()[1].startswith("4,")
    states = {(str(row["state"]), str(row["code"])) for row in house.rows("receipts")}
    assert states == {("sent", "posted"), ("failed", "returned_undelivered")}
    assert house.state(int(str(entry(house, 1)["record_id"]))) != "invited"
    assert house.state(int(str(entry(house, 0)["record_id"]))) == "invited"


def test_a_file_whose_receipts_could_not_be_stored_stays(house: House, tmp_path: Path) -> None:
    reference = entry(house)["reference"]
    (tmp_path / "day.csv").write_text(lines(f"{reference},posted,2026-11-01"))

    def away(_: object) -> None:
        raise StorageUnavailable("away")

    files = reader(house, tmp_path)
    files._take = away  # type: ignore[assignment]
    with pytest.raises(StorageUnavailable):
        files.run()
    assert (tmp_path / "day.csv").exists()
    assert reader(house, tmp_path).run().receipts == 1


def test_a_process_that_died_before_the_move_reads_it_again_without_harm(house: House, tmp_path: Path) -> None:
    reference = entry(house)["reference"]
    for _ in range(2):
        (tmp_path / "day.csv").write_text(lines(f"{reference},posted,2026-11-01"))
        assert reader(house, tmp_path).run().files == 1
    assert len(house.rows("receipts")) == 1
    assert len(list((tmp_path / "done").iterdir())) == 2


def test_what_may_still_be_written_is_left_alone(house: House, tmp_path: Path) -> None:
    files = ReturnFiles(
        tmp_path, house.invites.receipts.take, "dropfolder", ZoneInfo("Europe/London"), lambda: datetime.now(UTC)
    )
    for name in ("new.csv", ".hidden.csv", "day.csv.part"):
        (tmp_path / name).write_text(lines())
    os.utime(tmp_path / ".hidden.csv", (0, 0))
    os.utime(tmp_path / "day.csv.part", (0, 0))
    assert files.run() == ReturnsReport()
    os.utime(tmp_path / "new.csv", (0, 0))
    assert files.run().files == 1


def test_a_line_with_an_impossible_instant_costs_no_other_anything(house: House, tmp_path: Path) -> None:
    reference = entry(house)["reference"]
    (tmp_path / "day.csv").write_text(
        lines(f"{reference},posted,0001-01-01T00:00:00+14:00", f"{reference},posted,2026-11-01")
    )
    assert reader(house, tmp_path).run() == ReturnsReport(files=1, receipts=1, faults=1)


def test_a_file_that_cannot_be_read_holds_up_no_other(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = entry(house)["reference"]
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(lines(f"{reference},posted,2026-11-01"))
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.name == "a.csv":
            raise PermissionError(13, "not yours")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(PermissionError):
        reader(house, tmp_path).run()
    assert (tmp_path / "a.csv").exists()
    assert (tmp_path / "done" / "b.csv").exists()

"""Letters that are handed over once a day: due then, cancellable until then, and all in one batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from invites.channels.channel import LETTER, InvitationText, Refused, Request
from invites.channels.drop_folder import DropFolder
from invites.dispatch import Dispatch
from invites.options import InviteOptions, Lane, next_at
from patient_records.instants import from_micros
from tests.support.drop_batches import batches, handed_over
from tests.support.outbox_rows import entry
from tests.support.people import DEAD, HOSPITAL, ORGANISATION, House, PlainChannel, person

LONDON = ZoneInfo("Europe/London")


class PdfChannel(PlainChannel):
    """Renders anybody as what passes for a PDF of one page."""

    def render(self, text: InvitationText) -> Request | Refused:
        """Render as the plain channel does, and put it so."""
        said = super().render(text)
        if isinstance(said, Refused):
            return said
        return msgspec.structs.replace(said, body=b"%PDF-1.7 /Type/Pages/Count 1 " + said.body)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    """A house that hands letters over in three hours, and every day at that time."""
    now = datetime.now(LONDON)
    options = InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", zone=LONDON)
    at = (now + timedelta(hours=3)).time().replace(second=0, microsecond=0)
    built = House(database_url, msgspec.structs.replace(options, letters_at=at))
    yield built
    built.close()


def lane(house: House, folder: Path, *, closes: bool = True) -> Dispatch:
    drop = DropFolder(folder, lambda: datetime.now(UTC) + house.database.shift)
    built = Dispatch(
        house.database,
        house.records,
        Lane(PdfChannel(LETTER), drop, drop.close_batch if closes else lambda: None),
        house.options,
        onward=house.onward,
        finish=house.finish,
        ids=house.ids,
    )
    house.lanes.append(built)
    return built


def test_nothing_goes_before_the_time_and_everything_in_one_batch_at_it(house: House, tmp_path: Path) -> None:
    house.arrive([person(number, home=()) for number in range(120)])
    assert house.issue.run().total == 120
    letters = lane(house, tmp_path)
    house.later(timedelta(hours=2, minutes=50))
    assert letters.run().outcomes == Counter()
    assert batches(tmp_path) == []
    house.later(timedelta(minutes=15))
    report = letters.run()
    assert report.outcomes == Counter(accepted=120)
    assert report.handed_over is not None
    assert (report.handed_over.letters, report.handed_over.pages) == (120, 120)
    [batch] = batches(tmp_path)
    assert batch.name == report.handed_over.batch
    assert handed_over(tmp_path) == {str(row["reference"]): 1 for row in house.rows("outbox")}
    assert letters.run().handed_over is None


def test_who_dies_before_the_time_gets_no_letter(house: House, tmp_path: Path) -> None:
    [record_id] = house.arrive([person(home=())])
    house.issue.run()
    house.change(record_id, death=DEAD)
    assert entry(house)["state"] == "cancelled"
    house.later(timedelta(hours=4))
    lane(house, tmp_path).run()
    assert batches(tmp_path) == []


def test_other_channels_do_not_wait(house: House) -> None:
    house.arrive([person(1), person(2, home=())])
    house.issue.run()
    now = datetime.now(UTC)
    due = {str(row["channel"]): from_micros(int(str(row["due_at"]))) - now for row in house.rows("outbox")}
    assert due["sms"] <= timedelta(seconds=1)
    assert timedelta(hours=2, minutes=58) < due["letter"] <= timedelta(hours=3)


def test_what_is_gathered_when_a_daemon_dies_goes_out_with_the_next_start(house: House, tmp_path: Path) -> None:
    house.arrive([person(number, home=()) for number in range(3)])
    house.issue.run()
    house.later(timedelta(hours=4))
    lane(house, tmp_path, closes=False).run()
    assert batches(tmp_path) == []
    lane(house, tmp_path).run()
    assert set(handed_over(tmp_path).values()) == {1}
    assert len(handed_over(tmp_path)) == 3


@pytest.mark.parametrize(
    ("clock", "now", "then"),
    [
        ("16:00", "2026-11-26T15:59+00:00", "2026-11-26T16:00+00:00"),
        ("16:00", "2026-11-26T16:00+00:00", "2026-11-27T16:00+00:00"),
        ("16:00", "2026-06-26T15:30+00:00", "2026-06-27T15:00+00:00"),
        ("00:30", "2026-06-26T22:00+00:00", "2026-06-26T23:30+00:00"),
        ("01:30", "2026-03-29T00:00+00:00", "2026-03-29T01:30+00:00"),  # left out by the clocks: 02:30 then
        ("01:30", "2026-10-25T00:00+00:00", "2026-10-25T00:30+00:00"),  # there twice: the first
        ("01:30", "2026-10-25T00:45+00:00", "2026-10-26T01:30+00:00"),
    ],
)
def test_the_next_time_is_the_local_clock_s(clock: str, now: str, then: str) -> None:
    found = next_at(time.fromisoformat(clock), datetime.fromisoformat(now), LONDON)
    assert found == datetime.fromisoformat(then)
    assert found.tzinfo is UTC

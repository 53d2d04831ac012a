"""The journal read back as feeds, on both databases: who sent what, when, and how much of it is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from hl7_listener.feed_reader import FeedReader, Window
from tests.support.feed import a28
from tests.support.hospital import Hospital

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


@pytest.fixture
def hospital(database_url: str) -> Iterator[Hospital]:
    made = Hospital(database_url)
    yield made
    made.close()


def reader(hospital: Hospital) -> FeedReader:
    return FeedReader(hospital.database, hospital._stores.journal, hospital.records)


def test_each_sender_is_described_by_what_it_sent(hospital: Hospital) -> None:
    for person in range(30):
        hospital.send(a28(person))
    hospital.send(a28(99, sender="LAB", version="2.3"), b"junk without a header", a28(1))
    found = reader(hospital).describe(Window(None, LONG_AGO, 1000))
    assert [(feed.sender, feed.description.messages) for feed in found] == [("PAS/RX1", 30), ("LAB/RX1", 1)]
    assert found[0].repeats == 1
    assert found[0].outcomes == {"applied": 30}
    assert found[1].description.versions == {"2.3": 1}
    assert sum(found[0].hours.values()) == 30
    assert found[0].messages_an_hour == 30
    assert found[0].unopened == 0


def test_one_sender_the_newest_and_since(hospital: Hospital) -> None:
    for person in range(20):
        hospital.send(a28(person, version="2.3" if person < 15 else "2.5"))
    hospital.send(a28(50, sender="LAB"))
    looking = reader(hospital)
    newest = Window("PAS/RX1", LONG_AGO, 5)
    assert looking.count(newest) == 5
    (feed,) = looking.describe(newest)
    assert feed.description.versions == {"2.5": 5}
    assert looking.describe(Window(None, datetime.now(UTC) + timedelta(hours=1), 100)) == []


def test_a_message_that_does_not_open_is_counted(hospital: Hospital) -> None:
    from sqlalchemy import text  # noqa: PLC0415 (the only place that breaks a seal by hand)

    hospital.send(a28(1), a28(2))
    with hospital.database.begin() as connection:
        connection.execute(text("UPDATE journal SET sealed = sealed_acknowledgment WHERE control_id = '1-A28'"))
    (feed,) = reader(hospital).describe(Window(None, LONG_AGO, 100))
    assert (feed.description.messages, feed.unopened) == (1, 1)

"""What runs again and again finds its rows by an index, and writes only when there is something to write.

The plans are SQLite's, where it matters most: there all who write wait for each other. That nothing is written for
nothing is asked of both databases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NoReturn

import pytest
from sqlalchemy import Connection

from invites import agenda, outbox, overview
from invites.channels.channel import Settlement, Unknown
from invites.sweep import SweepReport
from patient_records.model import BirthDate
from tests.support.people import ORGANISATION, House, ScriptedProvider, person
from tests.support.query_plans import plans_of, walks_of_whole_tables

LEASE = timedelta(minutes=5)
Look = Callable[[Connection, str, datetime], bool]
CHILD = BirthDate(f"{datetime.now(UTC).year - 3}0101")


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def on_sqlite(sqlite_url: str) -> Iterator[House]:
    built = House(sqlite_url)
    yield built
    built.close()


def busy(house: House) -> None:
    """Somebody in every state that the sweep knows: claimed, sending, queued, unknown, under age."""
    house.arrive([person(number) for number in range(6)] + [person(7, birth=CHILD)])
    house.issue.run(limit=1)
    provider = ScriptedProvider(Settlement.SEARCHABLE)
    provider.outcome = Unknown("timeout")
    house.lane(provider).run()
    house.issue.run(limit=3)
    with house.database.begin() as connection:
        now = house.database.now(connection)
        one, _ = outbox.claim(connection, "sms", "somebody", lease=LEASE, limit=2, now=now)
        outbox.start(connection, [outbox.Start(one, "scripted", b"")], lease=LEASE, now=now)


def test_a_sweep_with_all_sorts_to_do_reads_no_table_from_end_to_end(on_sqlite: House) -> None:
    house = on_sqlite
    busy(house)
    with plans_of(house.database) as steps:
        assert house.sweep.run().looked_at_again > 0
    assert walks_of_whole_tables(steps) == []
    house.later(timedelta(days=40))
    with plans_of(house.database) as steps:
        report = house.sweep.run()
    assert min(report.lapsed, report.entries, report.pairs, report.looked_at_again) > 0
    assert walks_of_whole_tables(steps) == []
    assert not [step for step in steps if "TEMP B-TREE" in step]


def test_issuing_and_a_lane_read_no_table_from_end_to_end(on_sqlite: House) -> None:
    house = on_sqlite
    busy(house)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [Unknown("timeout")]
    lane = house.lane(provider)
    with plans_of(house.database) as steps:
        assert house.issue.run().total > 0
        lane.run()
        house.later(timedelta(hours=1))
        assert lane.run().settled > 0
    assert walks_of_whole_tables(steps) == []


def test_status_reads_no_table_of_people_or_entries_from_end_to_end(on_sqlite: House) -> None:
    with plans_of(on_sqlite.database) as steps, on_sqlite.database.read() as connection:
        overview.status(connection)
    assert walks_of_whole_tables(steps) == []


@pytest.mark.parametrize(
    ("look", "index"), [(outbox.anything_due, "outbox_due"), (outbox.anything_to_settle, "outbox_unknown")]
)
def test_a_look_at_a_lane_is_one_step_into_an_index(on_sqlite: House, look: Look, index: str) -> None:
    house = on_sqlite
    with plans_of(house.database) as steps, house.database.read() as connection:
        assert not look(connection, "sms", house.database.now(connection))
    [step] = [step for step in steps if "outbox" in step]
    assert step.endswith(f"INDEX {index} (channel=? AND due_at<?)")


def test_a_look_at_a_lane_finds_what_the_claim_would(house: House) -> None:
    house.arrive([person()])
    house.issue.run()
    with house.database.begin() as connection:
        now = house.database.now(connection)
        for channel, due in (("sms", True), ("email", False)):
            assert outbox.anything_due(connection, channel, now) is due
        assert not outbox.anything_to_settle(connection, "sms", now)
        [entry] = outbox.claim(connection, "sms", "me", lease=LEASE, limit=9, now=now)
        assert not outbox.anything_due(connection, "sms", now)
        outbox.start(connection, [outbox.Start(entry, "scripted", b"")], lease=LEASE, now=now)
        assert not agenda.any_lapsed(connection, now)
        assert agenda.any_lapsed(connection, now + LEASE)
        outbox.lapse(connection, limit=9, now=now + LEASE)
        outbox.wait_until(connection, {entry.id: now})
        assert outbox.anything_to_settle(connection, "sms", now)


def test_a_sweep_and_an_issue_run_with_nothing_to_do_ask_for_no_writer(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.arrive([person(), person(1, birth=CHILD)], ORGANISATION)
    house.issue.run()
    house.sweep.run()

    def refuse(*_args: object) -> NoReturn:
        raise AssertionError("a writer for nothing")

    monkeypatch.setattr(house.database, "begin", refuse)
    assert house.sweep.run() == SweepReport()
    assert house.issue.run().total == 0

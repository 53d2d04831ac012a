"""The silence alarm on both databases: raised once, shown, ended by the next message or by a new habit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import insert, select, update

from daemon import vital_signs
from daemon.listener_telemetry import SenderActivity
from daemon.metrics import Metrics
from daemon.pulse import Pulse
from daemon.rhythm import SLOT, WEEK, slot_of
from daemon.silence_watch import KEPT, SilenceWatch
from hl7_listener.sequence import SequenceState
from invites.tables import outbox
from patient_records import tables
from patient_records.instants import to_micros
from patient_records.unit_of_work import Database

NOW = datetime(2026, 6, 10, 12, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    url = request.getfixturevalue("postgres_url" if request.param == "postgresql" else "sqlite_url")
    opened = Database(url)
    outbox.metadata.create_all(opened.engine)
    yield opened
    opened.close()


def learn(database: Database, sender: str, *, weeks: int, last: datetime, daemons: int = 1) -> None:
    """Store a feed of 40 messages in each quarter of the weeks before ``last``, shared by so many daemons."""
    first = last - weeks * WEEK
    with database.begin() as connection:
        for daemon in range(daemons):
            connection.execute(
                insert(tables.senders).values(
                    daemon_id=daemon,
                    listener="pas",
                    sender=sender,
                    first_at=to_micros(first),
                    last_at=to_micros(last),
                    messages=1,
                )
            )
            rows = [
                {"listener": "pas", "sender": sender, "slot": slot, "daemon_id": daemon, "messages": 40 // daemons}
                for slot in range(slot_of(first), slot_of(last) + 1)
            ]
            connection.execute(insert(tables.sender_slots), rows)


def watch(database: Database, metrics: Metrics, since: datetime = NOW - 30 * WEEK) -> SilenceWatch:
    return SilenceWatch(database, metrics, {"pas": ZoneInfo("Europe/London")}, since)


def silent(metrics: Metrics) -> float | None:
    return metrics.registry.get_sample_value("doorstep_senders_silent", {"listener": "pas"})


def signs(database: Database) -> dict[str, vital_signs.SenderSigns]:
    with database.read() as connection:
        return {one.sender: one for one in vital_signs.read(connection, NOW).senders}


def heard(database: Database, sender: str, at: datetime) -> None:
    with database.begin() as connection:
        statement = update(tables.senders).where(tables.senders.c.sender == sender)
        connection.execute(statement.values(last_at=to_micros(at)))


def test_a_silence_is_raised_and_ends_with_the_next_message(database: Database) -> None:
    learn(database, "PAS/RX1", weeks=6, last=NOW - 20 * MINUTE, daemons=2)
    learn(database, "NEW/RX1", weeks=2, last=NOW - 20 * MINUTE)
    learn(database, "LAB/RX1", weeks=6, last=NOW - 2 * MINUTE)
    metrics = Metrics()
    watching = watch(database, metrics)
    watching.look(NOW - 3 * MINUTE)
    assert silent(metrics) == 0
    watching.look(NOW)
    assert silent(metrics) == 1
    found = signs(database)
    assert found["PAS/RX1"].silent_since == NOW - 20 * MINUTE
    assert found["PAS/RX1"].usual_messages == 40
    assert found["NEW/RX1"].silent_since is None
    assert found["LAB/RX1"].silent_since is None
    heard(database, "PAS/RX1", NOW)
    watching.look(NOW + MINUTE / 2)  # not yet a minute later
    assert silent(metrics) == 1
    watching.look(NOW + MINUTE)
    assert silent(metrics) == 0
    assert signs(database)["PAS/RX1"].silent_since is None


def test_no_number_of_busy_senders_hides_a_silent_one(database: Database) -> None:
    learn(database, "PAS/RX1", weeks=6, last=NOW - 20 * MINUTE)
    at = to_micros(NOW)
    busy = {"daemon_id": 1, "listener": "pas", "first_at": at, "last_at": at, "messages": 1}
    with database.begin() as connection:
        connection.execute(insert(tables.senders), [{**busy, "sender": f"S{number}"} for number in range(120)])
    watch(database, Metrics()).look(NOW)
    assert next(iter(signs(database).values())).silent_since == NOW - 20 * MINUTE


def test_nobody_is_silent_for_the_time_in_which_nobody_listened(database: Database) -> None:
    learn(database, "PAS/RX1", weeks=6, last=NOW - 5 * WEEK / 7)
    metrics = Metrics()
    began = NOW - 10 * MINUTE
    watching = watch(database, metrics, began)
    watching.look(NOW)
    assert silent(metrics) == 0
    watching.look(NOW + SLOT)
    assert silent(metrics) == 1


def test_another_daemon_s_alarm_is_known_and_ended(database: Database) -> None:
    learn(database, "PAS/RX1", weeks=6, last=NOW - 20 * MINUTE)
    one, two = Metrics(), Metrics()
    watch(database, one).look(NOW)
    watch(database, two).look(NOW)
    assert (silent(one), silent(two)) == (1, 1)
    heard(database, "PAS/RX1", NOW)
    watch(database, two).look(NOW + MINUTE)
    assert signs(database)["PAS/RX1"].silent_since is None


def test_counts_are_forgotten_after_their_time(database: Database) -> None:
    learn(database, "PAS/RX1", weeks=12, last=NOW)
    watch(database, Metrics(), NOW - 2 * WEEK).look(NOW)
    with database.read() as connection:
        oldest = connection.scalar(select(tables.sender_slots.c.slot).order_by(tables.sender_slots.c.slot).limit(1))
    assert oldest == slot_of(NOW - KEPT)


def test_the_pulse_writes_counts_by_quarter_and_sequence_numbers(database: Database) -> None:
    at, later = to_micros(NOW), to_micros(NOW + SLOT)
    activity = {("pas", "PAS/RX1"): SenderActivity(at, at, 2, SequenceState(9, 1, 3, at), {slot_of(NOW): 2})}
    pulse = Pulse(database, 7, "0", lambda: activity)
    pulse.begin(NOW)
    pulse.beat(NOW, {})
    slots = {slot_of(NOW): 3, slot_of(NOW + SLOT): 5}
    activity["pas", "PAS/RX1"] = SenderActivity(at, later, 8, SequenceState(12, 1, 3, at), slots)
    pulse.beat(NOW + SLOT, {})
    with database.read() as connection:
        rows = connection.execute(select(tables.sender_slots.c.slot, tables.sender_slots.c.messages)).all()
    assert {row.slot: row.messages for row in rows} == slots
    assert Pulse(database, 8, "0", dict).numbers() == {("pas", "PAS/RX1"): 12}
    found = signs(database)["PAS/RX1"]
    assert (found.sequence_gaps, found.sequence_missing, found.last_gap_at) == (1, 3, NOW)

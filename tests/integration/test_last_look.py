"""A provider's slowness can lie between a message's mark and its call: who died meanwhile is not written to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from zoneinfo import ZoneInfo

import msgspec
import pytest

from invites import pairs
from invites.channels.channel import Settlement, Unknown
from invites.dispatch import Dispatch
from invites.options import InviteOptions
from patient_records.model import MOBILE, ContactPoint, Standing
from tests.support.outbox_rows import queued
from tests.support.people import DEAD, HOSPITAL, ORGANISATION, House, ScriptedProvider

NOW = datetime(2027, 1, 1, tzinfo=UTC)
OTHER_NUMBER = (ContactPoint(MOBILE, "+447700900999"),)


def revoke(house: House, record_id: int) -> None:
    with house.database.begin() as connection:
        opened = house.records.load(connection, [record_id], lock=True)[record_id]
        assert pairs.revoke(connection, opened.record, house.options, house.database.now(connection))


STOPS: dict[str, Callable[[House, int], None]] = {
    "death": lambda house, record_id: house.change(record_id, death=DEAD),
    "deletion": lambda house, record_id: house.change(record_id, standing=Standing(deleted_at=NOW)),
    "merge": lambda house, record_id: house.change(record_id, standing=Standing(merged_into=record_id + 1)),
    "hold": lambda house, record_id: house.change(record_id, standing=Standing(hold="staff")),
    "registration": lambda house, record_id: house.change(record_id, standing=Standing(registered_at=NOW)),
    "revoked by staff": revoke,
}


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    """A house that calls one provider at a time."""
    options = InviteOptions({ORGANISATION: HOSPITAL}, "https://join.example", zone=ZoneInfo("Europe/London"))
    built = House(database_url, msgspec.structs.replace(options, senders=1))
    yield built
    built.close()


def lane(house: House, provider: ScriptedProvider) -> Dispatch:
    """A lane between two of whose calls a second passes: no look lasts from one to the next."""
    return house.lane(provider, elapsed=count().__next__)


def during_the_first_call(provider: ScriptedProvider, act: Callable[[], object]) -> None:
    def once() -> None:
        provider.before_answering = lambda: None
        act()

    provider.before_answering = once


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_what_stops_a_message_stops_it_after_the_mark_too(house: House, stop: Callable[[House, int], None]) -> None:
    _, second = queued(house, 2)
    provider = ScriptedProvider()
    during_the_first_call(provider, lambda: stop(house, second))
    report = lane(house, provider).run()
    assert len(provider.sent) == 1
    assert (report.dropped["not_begun"], report.outcomes["accepted"]) == (1, 1)
    assert [row["state"] for row in house.rows("outbox")] == ["accepted", "cancelled"]


def test_a_new_number_gets_the_message_that_was_marked_for_the_old_one(house: House) -> None:
    _, second = queued(house, 2)
    provider = ScriptedProvider()
    during_the_first_call(provider, lambda: house.change(second, home=OTHER_NUMBER))
    lane(house, provider).run()
    assert [request.to for request in provider.sent] == ["+447700900123", "+447700900999"]


def test_a_repeat_is_stopped_as_well(house: House) -> None:
    _, second = queued(house, 2)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [Unknown("timeout")] * 2
    sending = lane(house, provider)
    sending.run()
    house.later(house.options.retry.longest_wait)
    during_the_first_call(provider, lambda: house.change(second, death=DEAD))
    sending.run()
    assert len(provider.sent) == 3
    assert [row["state"] for row in house.rows("outbox")] == ["accepted", "given_up"]

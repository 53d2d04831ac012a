"""What is sent again because nobody knows whether it arrived: only *accepted* settles it, and only what holds goes.

The first attempt of each of these was in truth delivered, and its answer was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update

from invites.channels.channel import Accepted, NotSent, Outcome, Refused, Settlement
from invites.dispatch import Dispatch
from invites.outbox import REQUEST, OutboxEntry
from invites.prepare import Cleared, Dropped
from invites.tables import outbox
from patient_records.model import MOBILE, ContactPoint, Standing
from tests.support.outbox_rows import entry, queued
from tests.support.people import DEAD, EMAIL_ONLY, SMS_ONLY, House, ScriptedProvider

LOST = TimeoutError("the answer")


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def lost(house: House, count: int = 1) -> tuple[list[int], ScriptedProvider, Dispatch]:
    """People whose invitations were delivered by a provider that deduplicates, with every answer lost."""
    ids = queued(house, count)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [LOST] * count
    lane = house.lane(provider)
    lane.run()
    return ids, provider, lane


@pytest.mark.parametrize("answer", [NotSent("http_503"), Refused("http_400")])
def test_what_befell_the_repeat_says_nothing_of_the_first(house: House, answer: Outcome) -> None:
    _, provider, lane = lost(house)
    provider.outcome = answer
    house.later(timedelta(hours=1))
    lane.run()
    [row] = house.rows("outbox")
    assert len(provider.sent) == 2
    assert (row["state"], row["code"]) == ("unknown", answer.code)  # type: ignore[union-attr]
    assert [row["outcome"] for row in house.rows("attempts")] == ["unknown", "unknown"]


def test_repeats_that_fail_for_two_days_leave_the_pair_alive_and_the_entry_to_a_person(house: House) -> None:
    [record_id], provider, lane = lost(house)
    provider.outcome = NotSent("http_503")
    for _ in range(60):
        house.later(timedelta(hours=1))
        lane.run()
    [row] = house.rows("outbox")
    assert (row["state"], row["due_at"], row["channel"]) == ("unknown", None, "sms")
    [token] = house.rows("access_tokens")
    assert token["wrapped_key"] is not None
    assert house.state(record_id) == "invited"


def test_a_failed_repeat_cannot_be_cancelled_as_unsent_and_invited_once_more(house: House) -> None:
    [record_id], provider, lane = lost(house)
    provider.script = [NotSent("http_429")]
    house.later(timedelta(hours=1))
    lane.run()
    house.change(record_id, standing=Standing(hold="query"))
    house.change(record_id, standing=Standing())
    assert house.issue.run().total == 0
    assert len({request.reference for request in provider.sent}) == 1


def test_a_repeat_that_is_accepted_settles_it(house: House) -> None:
    _, provider, lane = lost(house)
    house.later(timedelta(hours=1))
    lane.run()
    assert provider.sent[0] == provider.sent[1]
    assert entry(house)["state"] == "accepted"


def test_accepted_counts_late_though_a_failed_repeat_came_between(house: House) -> None:
    queued(house)
    slow, quick = ScriptedProvider(Settlement.DEDUPLICATES), ScriptedProvider(Settlement.DEDUPLICATES)
    quick.outcome = NotSent("http_503")
    slow.before_answering = lambda: overtaken(house, quick)
    slow.outcome = Accepted("delivered")
    house.lane(slow).run()
    assert len(quick.sent) == 1
    row = entry(house)
    assert (row["state"], row["provider_reference"], row["sealed_payload"]) == ("accepted", "delivered", None)
    assert [row["outcome"] for row in house.rows("attempts")] == ["accepted", "unknown"]


def test_accepted_counts_late_though_a_search_had_found_nothing(house: House) -> None:
    queued(house)
    slow, other = ScriptedProvider(Settlement.SEARCHABLE), ScriptedProvider(Settlement.SEARCHABLE)
    other.found = NotSent("not_there")
    seen: list[object] = []

    def searched() -> None:
        overtaken(house, other)
        seen.append(entry(house)["state"])

    slow.before_answering = searched
    house.lane(slow).run()
    assert seen == ["queued"]
    assert entry(house)["state"] == "accepted"
    house.later(timedelta(hours=1))
    house.lane(other).run()
    assert other.sent == []


def test_a_late_answer_moves_nothing_that_is_final(house: House) -> None:
    [record_id] = queued(house)
    slow = ScriptedProvider()

    def over() -> None:
        house.later(timedelta(days=31))
        house.sweep.run()
        assert entry(house)["state"] == "given_up"

    slow.before_answering = over
    house.lane(slow).run()
    row = entry(house)
    assert (row["state"], row["code"]) == ("given_up", "expired")
    assert [row["outcome"] for row in house.rows("attempts")] == ["accepted"]
    assert house.state(record_id) == "invited"


@pytest.mark.parametrize("content", [b"", b"\x01", "not a request"])
def test_a_request_that_does_not_open_is_left_to_a_person_and_holds_up_nobody(
    house: House, content: bytes | str
) -> None:
    _, provider, lane = lost(house, 2)
    broken, sound = house.rows("outbox")
    with house.database.begin() as connection:
        if isinstance(content, str):
            person = house.records.load(connection, [int(str(broken["record_id"]))])[int(str(broken["record_id"]))]
            content = person.key.seal(content.encode(), REQUEST, int(str(broken["id"])))
        this = outbox.c.id == broken["id"]
        connection.execute(update(outbox).where(this).values(sealed_request=content))
    house.later(timedelta(hours=1))
    lane.run()
    row = entry(house)
    assert (row["state"], row["due_at"], row["code"], row["attempt"]) == ("unknown", None, "request_does_not_open", 1)
    assert [request.reference for request in provider.sent[2:]] == [sound["reference"]]
    assert entry(house, 1)["state"] == "accepted"


@pytest.mark.parametrize("points", [(ContactPoint(MOBILE, "+447700900999"),), EMAIL_ONLY, ()])
def test_a_number_that_changed_meanwhile_is_left_to_a_person(house: House, points: tuple[ContactPoint, ...]) -> None:
    [record_id], provider, lane = lost(house)
    house.change(record_id, home=points)
    house.later(timedelta(hours=1))
    lane.run()
    assert len(provider.sent) == 1
    row = entry(house)
    assert (row["state"], row["due_at"], row["code"], row["attempt"]) == ("unknown", None, "new_address", 1)
    assert house.rows("access_tokens")[0]["wrapped_key"] is not None
    assert len(house.rows("outbox")) == 1


def test_a_change_that_leaves_the_number_alone_keeps_nothing(house: House) -> None:
    [record_id], provider, lane = lost(house)
    house.change(record_id, language="cy", home=(*SMS_ONLY, ContactPoint(MOBILE, "+447700900999")))
    house.later(timedelta(hours=1))
    lane.run()
    assert len(provider.sent) == 2
    assert entry(house)["state"] == "accepted"


def meanwhile(lane: Dispatch, monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> None:
    """Have this happen once, after the person was looked at again and before the repeat is marked."""
    prepare, changes = lane._prepare, iter([change])
    recheck = prepare.recheck

    def then_changed(entries: list[OutboxEntry]) -> list[Cleared | Dropped]:
        said = recheck(entries)
        for each in changes:
            each()
        return said

    monkeypatch.setattr(prepare, "recheck", then_changed)


def test_death_between_the_look_and_the_mark_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    [record_id], provider, lane = lost(house)
    meanwhile(lane, monkeypatch, lambda: house.change(record_id, death=DEAD))
    house.later(timedelta(hours=1))
    lane.run()
    assert len(provider.sent) == 1
    assert (entry(house)["state"], entry(house)["attempt"]) == ("given_up", 1)


def test_a_harmless_change_between_the_look_and_the_mark_delays_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    [record_id], provider, lane = lost(house)
    meanwhile(lane, monkeypatch, lambda: house.change(record_id, language="cy"))
    house.later(timedelta(hours=1))
    lane.run()
    assert len(provider.sent) == 2
    assert entry(house)["state"] == "accepted"


def overtaken(house: House, provider: ScriptedProvider) -> None:
    """The lease lapses, and another daemon settles what became unknown."""
    house.later(timedelta(minutes=6))
    house.sweep.run()
    house.later(timedelta(hours=1))
    house.lane(provider).run()


@pytest.mark.parametrize("settlement", [Settlement.DEDUPLICATES, Settlement.SEARCHABLE])
def test_what_a_provider_may_have_forgotten_by_now_is_left_to_a_person(house: House, settlement: Settlement) -> None:
    [record_id] = queued(house)
    provider = ScriptedProvider(settlement)
    provider.script = [LOST]
    provider.found = NotSent("not_found")
    lane = house.lane(provider)
    lane.run()
    house.later(timedelta(days=4))  # paused, or off: nothing was settled meanwhile
    lane.run()
    [row] = house.rows("outbox")
    assert (row["state"], row["due_at"]) == ("unknown", None)
    assert (len(provider.sent), provider.searched) == (1, [])
    assert house.rows("access_tokens")[0]["wrapped_key"] is not None
    assert house.state(record_id) == "invited"

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import msgspec
import pytest

from invites.access_token import AccessToken, parse
from invites.channels.channel import EMAIL, SMS, NotSent, Refused
from invites.dispatch import Dispatch
from invites.finish import Answer
from patient_records.errors import StorageUnavailable
from patient_records.model import BirthDate, Standing
from tests.support.outbox_rows import entry, queued
from tests.support.people import DEAD, EMAIL_ONLY, SMS_ONLY, House, PlainChannel, ScriptedProvider, person


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def test_an_invitation_is_sent_once_and_its_payload_is_gone(house: House) -> None:
    [record_id] = queued(house)
    provider, channel = ScriptedProvider(), PlainChannel(SMS)
    lane = house.lane(provider, channel)
    assert lane.run().outcomes == Counter(accepted=1)
    assert lane.run().outcomes == Counter()
    [request], [text] = provider.sent, channel.texts
    row = entry(house)
    assert row["state"] == "accepted"
    assert (row["provider"], row["provider_reference"], row["attempt"]) == ("scripted", "theirs", 1)
    assert row["sealed_payload"] is None
    assert row["sealed_request"] is None
    assert request.reference == row["reference"]
    assert request.body == f"{text.code} {text.token}".encode()
    assert text.join_link == f"https://join.example/join#c={text.code}&t={text.token}"
    assert text.demographics == person(0)
    assert parse(text.code, text.token) == AccessToken(text.code, text.token)
    [attempt] = house.rows("attempts")
    assert (attempt["number"], attempt["outcome"]) == (1, "accepted")
    assert house.state(record_id) == "invited"


def test_sending_is_committed_with_the_request_before_the_provider_is_called(house: House) -> None:
    queued(house)
    provider = ScriptedProvider()
    seen: list[dict[str, object]] = []
    provider.before_answering = lambda: seen.append(entry(house))
    house.lane(provider).run()
    assert seen[0]["state"] == "sending"
    assert seen[0]["sealed_request"] is not None
    assert seen[0]["attempt"] == 1


def test_no_transaction_is_open_while_a_provider_is_called(house: House) -> None:
    queued(house)
    provider = ScriptedProvider()
    # On SQLite this would wait for ever if the lane held a writing transaction over the call.
    provider.before_answering = lambda: house.arrive([person(99)])
    assert house.lane(provider).run().outcomes == Counter(accepted=1)


def test_not_sent_is_tried_again_later_with_the_pair_that_it_had(house: House) -> None:
    queued(house)
    provider, channel = ScriptedProvider(), PlainChannel(SMS)
    provider.script = [NotSent("busy")]
    lane = house.lane(provider, channel)
    assert lane.run().outcomes == Counter(not_sent=1)
    row = entry(house)
    assert (row["state"], row["code"], row["sealed_request"]) == ("queued", "busy", None)
    assert lane.run().outcomes == Counter()
    house.later(timedelta(seconds=37))
    assert lane.run().outcomes == Counter(accepted=1)
    first, second = channel.texts
    assert (first.code, first.token) == (second.code, second.token)
    assert [(row["number"], row["outcome"]) for row in house.rows("attempts")] == [(1, "not_sent"), (2, "accepted")]


def test_not_sent_for_two_days_goes_to_the_next_channel_with_a_new_pair(house: House) -> None:
    queued(house)
    provider, channel = ScriptedProvider(), PlainChannel(SMS)
    provider.outcome = NotSent("busy")
    lane = house.lane(provider, channel)
    lane.run()
    house.later(timedelta(hours=48))
    lane.run()
    first, second = house.rows("outbox")
    assert (first["state"], first["channel"]) == ("given_up", "sms")
    assert (second["state"], second["channel"]) == ("queued", "email")
    tokens = {row["id"]: row for row in house.rows("access_tokens")}
    assert tokens[first["access_token_id"]]["wrapped_key"] is None
    assert tokens[second["access_token_id"]]["wrapped_key"] is not None
    assert [row["number"] for row in house.rows("invitations")] == [1, 2]


def test_refused_goes_through_the_channels_and_ends(house: House) -> None:
    [record_id] = queued(house)
    for kind in ("sms", "email", "letter"):
        provider = ScriptedProvider()
        provider.outcome = Refused("no")
        house.lane(provider, PlainChannel(kind)).run()
    assert [(row["channel"], row["state"]) for row in house.rows("outbox")] == [
        ("sms", "refused"),
        ("email", "refused"),
        ("letter", "refused"),
    ]
    assert house.state(record_id) == "undeliverable"
    assert {row["end_reason"] for row in house.rows("invitations")} == {"refused"}
    assert house.issue.run().total == 0


def test_refused_for_somebody_who_died_meanwhile_goes_no_further(house: House) -> None:
    [record_id] = queued(house)
    provider = ScriptedProvider()
    provider.outcome = Refused("no")
    provider.before_answering = lambda: house.change(record_id, death=DEAD)
    house.lane(provider).run()
    assert [(row["channel"], row["state"]) for row in house.rows("outbox")] == [("sms", "refused")]
    assert house.state(record_id) == "deceased"


def test_a_message_that_cannot_be_rendered_for_this_person_is_refused_without_an_attempt(house: House) -> None:
    queued(house)
    channel = PlainChannel(SMS)
    channel.refusing = "too_long"
    provider = ScriptedProvider()
    assert house.lane(provider, channel).run().dropped == Counter(too_long=1)
    assert provider.sent == []
    first, second = house.rows("outbox")
    assert (first["state"], first["code"], second["channel"]) == ("refused", "too_long", "email")
    assert house.rows("attempts") == []


def test_a_fault_in_one_message_leaves_the_others_alone(house: House) -> None:
    queued(house, 3)
    channel = PlainChannel(SMS)
    faults = iter([ZeroDivisionError()])

    def once() -> None:
        for fault in faults:
            raise fault

    channel.before_rendering = once
    report = house.lane(ScriptedProvider(), channel).run()
    assert report.outcomes == Counter(accepted=2)
    assert report.dropped == Counter(rendering_ZeroDivisionError=1)
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(accepted=2, queued=1)


def test_who_died_behind_our_back_is_not_written_to(house: House) -> None:
    [record_id] = queued(house)
    _change_silently(house, record_id)
    provider = ScriptedProvider()
    assert house.lane(provider).run().dropped == Counter(deceased=1)
    assert provider.sent == []
    assert entry(house)["state"] == "cancelled"
    assert house.rows("access_tokens")[0]["wrapped_key"] is None
    assert house.state(record_id) == "deceased"


def test_a_number_that_is_gone_moves_on_to_the_next_channel(house: House) -> None:
    [record_id] = queued(house)
    house.change(record_id, home=EMAIL_ONLY)
    assert house.lane(ScriptedProvider()).run().dropped == Counter(no_contact=1)
    assert [(row["channel"], row["state"]) for row in house.rows("outbox")] == [("sms", "refused"), ("email", "queued")]


def test_the_message_is_made_from_the_record_as_it_is_now(house: House) -> None:
    [record_id] = queued(house)
    house.change(record_id, language="cy")
    channel = PlainChannel(SMS)
    house.lane(ScriptedProvider(), channel).run()
    assert channel.texts[0].language == "cy"


def test_a_record_that_changes_while_its_message_is_rendered_is_rendered_again(house: House) -> None:
    [record_id] = queued(house)
    channel, provider = PlainChannel(SMS), ScriptedProvider()

    def meanwhile() -> None:
        if not channel.texts:
            house.change(record_id, language="cy")

    channel.before_rendering = meanwhile
    assert house.lane(provider, channel).run().outcomes == Counter(accepted=1)
    assert channel.texts[-1].language == "cy"
    assert len(channel.texts) == 2
    assert len(provider.sent) == 1


def test_death_while_a_message_is_rendered_keeps_it_from_being_sent(house: House) -> None:
    [record_id] = queued(house)
    channel, provider = PlainChannel(SMS), ScriptedProvider()
    channel.before_rendering = lambda: house.change(record_id, death=DEAD)
    house.lane(provider, channel).run()
    assert provider.sent == []
    assert entry(house)["state"] == "cancelled"


def test_a_changed_date_of_birth_while_sending_is_not_sent_again(house: House) -> None:
    [record_id] = queued(house)
    provider = ScriptedProvider()
    provider.script = [NotSent("busy")]
    provider.before_answering = lambda: house.change(record_id, birth=BirthDate("19801211"))
    lane = house.lane(provider)
    lane.run()
    assert entry(house)["state"] == "queued"
    provider.before_answering = lambda: None
    house.later(timedelta(minutes=1))
    assert lane.run().dropped == Counter(pair_ended=1)
    assert len(provider.sent) == 1
    assert house.state(record_id) == "eligible"
    assert house.issue.run().total == 1


def test_a_slow_provider_delays_no_other(house: House) -> None:
    queued(house)
    house.arrive([person(7, home=EMAIL_ONLY)])
    house.issue.run()
    stuck, released = threading.Event(), threading.Event()
    slow = ScriptedProvider()

    def wait() -> None:
        stuck.set()
        assert released.wait(60)

    slow.before_answering = wait
    thread = threading.Thread(target=house.lane(slow).run)
    thread.start()
    assert stuck.wait(60)
    quick = house.lane(ScriptedProvider(), PlainChannel(EMAIL))
    assert quick.run().outcomes == Counter(accepted=1)
    released.set()
    thread.join()
    assert Counter(row["state"] for row in house.rows("outbox")) == Counter(accepted=2)


def test_a_lane_that_stops_before_it_sends_gives_its_leases_back(house: House) -> None:
    queued(house, 3)
    provider, channel = ScriptedProvider(), PlainChannel(SMS)
    stop = threading.Event()
    channel.before_rendering = stop.set
    house.lane(provider, channel).run(stop.is_set)
    assert provider.sent == []
    assert [(row["state"], row["lease_owner"]) for row in house.rows("outbox")] == [("queued", None)] * 3


def test_calls_that_had_not_begun_when_the_daemon_stopped_are_certainly_not_sent(house: House) -> None:
    queued(house, 20)
    provider = ScriptedProvider()
    stop = threading.Event()
    provider.before_answering = stop.set
    house.lane(provider).run(stop.is_set)
    states = Counter(row["state"] for row in house.rows("outbox"))
    assert states["accepted"] == len(provider.sent) < 20
    assert states["queued"] == 20 - len(provider.sent)


def test_what_a_provider_said_survives_a_database_that_is_away_for_a_moment(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued(house)
    waits: list[float] = []
    finish = house.finish
    once, failures = finish._once, iter([StorageUnavailable("gone"), StorageUnavailable("gone")])

    def sometimes(answers: Sequence[Answer]) -> None:
        for failure in failures:
            raise failure
        once(answers)

    monkeypatch.setattr(finish, "_once", sometimes)
    monkeypatch.setattr(finish, "_pause", waits.append)
    house.lane(ScriptedProvider()).run()
    assert entry(house)["state"] == "accepted"
    assert len(waits) == 2


def test_two_daemons_send_nothing_twice(database_url: str) -> None:
    one = House(database_url)
    other = House(database_url, ring=one.ring)
    queued(one, 300)
    provider = ScriptedProvider()
    lanes: list[Dispatch] = [one.lane(provider), other.lane(provider)]
    threads = [threading.Thread(target=lane.run) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(Counter(request.reference for request in provider.sent).values()) == {1: 300}
    assert Counter(row["state"] for row in one.rows("outbox")) == Counter(accepted=300)
    one.close()
    other.close()


def test_more_than_one_batch_is_sent_in_one_run(house: House) -> None:
    queued(house, 120)
    assert house.lane(ScriptedProvider()).run().outcomes == Counter(accepted=120)


def test_an_unsent_entry_that_expires_lets_the_person_be_invited_again(house: House) -> None:
    [record_id] = queued(house)
    house.later(timedelta(days=31))
    assert house.lane(ScriptedProvider()).run().dropped == Counter(expired=1)
    assert entry(house)["state"] == "expired"
    assert house.state(record_id) == "eligible"


def test_home_is_not_needed_for_a_text_message(house: House) -> None:
    house.arrive([person(home=SMS_ONLY, addresses=())])
    house.issue.run()
    assert house.lane(ScriptedProvider()).run().outcomes == Counter(accepted=1)


def _change_silently(house: House, record_id: int) -> None:
    with house.database.begin() as connection:
        before = house.records.load(connection, [record_id])[record_id]
        dead = msgspec.structs.replace(before.record.demographics, death=DEAD)
        house.records.save(connection, [(before, before.changed(dead, Standing()))], house.database.now(connection))

"""What providers say afterwards: in any order, twice, late, too early, of nobody; and what follows from it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from invites.channels.channel import EMAIL, LETTER, SMS, Settlement, Unknown
from invites.receipt import Receipt, ReceiptState
from invites.receipts import KEPT
from patient_records.model import MOBILE, ContactPoint
from tests.support.outbox_rows import entry, queued
from tests.support.people import (
    DEAD,
    EMAIL_ONLY,
    SMS_ONLY,
    House,
    PlainChannel,
    ScriptedProvider,
    person,
)
from tests.support.query_plans import plans_of, walks_of_whole_tables

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def sent(house: House, number: int = 0) -> dict[str, object]:
    """The outbox row of somebody whose text message was accepted."""
    queued(house, number + 1)
    house.lane(ScriptedProvider()).run()
    return entry(house, number)


def receipt(row: dict[str, object], state: str, *, permanent: bool = False, minutes: int = 0) -> Receipt:
    return Receipt(
        "scripted",
        ReceiptState(state),
        AT + timedelta(minutes=minutes),
        reference=str(row["reference"]),
        permanent=permanent,
        code="code",
    )


def counting(house: House) -> list[tuple[object, object]]:
    return [(row["state"], row["permanent"]) for row in house.rows("receipts") if row["counts"]]


def test_a_delivered_message_changes_nothing_else(house: House) -> None:
    row = sent(house)
    report = house.receipts.take([receipt(row, "sent"), receipt(row, "delivered", minutes=1)])
    assert (dict(report.changed), report.unmatched, report.next_invitations) == ({"delivered": 1}, 0, 0)
    assert counting(house) == [("delivered", 0)]
    assert len(house.rows("outbox")) == 1
    assert house.rows("invitations")[0]["ended_at"] is None


@pytest.mark.parametrize("together", [True, False])
def test_whatever_the_order_the_end_is_the_same(house: House, *, together: bool) -> None:
    kinds = [("sent", False, 9), ("failed", False, 1), ("delivered", False, 2)]
    orders = list(itertools.permutations(kinds))
    queued(house, len(orders))
    house.lane(ScriptedProvider()).run()
    for row, order in zip(house.rows("outbox"), orders, strict=True):
        said = [receipt(row, state, permanent=permanent, minutes=at) for state, permanent, at in order]
        for some in [said] if together else [[each] for each in said]:
            house.receipts.take(some)
    assert counting(house) == [("delivered", 0)] * len(orders)
    ended = {row["access_token_id"]: row["ended_at"] for row in house.rows("invitations", number=1)}
    assert set(ended.values()) == {None}
    assert house.rows("bad_contacts") == []


def test_a_repeat_is_counted_and_nothing_else(house: House) -> None:
    row = sent(house)
    failed = receipt(row, "failed", permanent=True)
    assert house.receipts.take([failed, failed]).repeated == 1
    again = house.receipts.take([failed])
    assert (again.repeated, dict(again.changed), again.next_invitations, again.bad_contacts) == (1, {}, 0, 0)
    assert house.rows("receipts")[0]["repeats"] == 2
    assert [row["channel"] for row in house.rows("outbox")] == ["sms", "email"]


@pytest.mark.parametrize("state", list(ReceiptState))
def test_an_unknown_entry_that_gets_a_receipt_is_thereby_accepted(house: House, state: ReceiptState) -> None:
    queued(house)
    provider = ScriptedProvider(Settlement.NEITHER)
    provider.outcome = Unknown("timeout")
    house.lane(provider).run()
    assert entry(house)["state"] == "unknown"
    assert house.receipts.take([receipt(entry(house), state.value)]).settled == 1
    row = entry(house)
    assert (row["state"], row["code"], row["sealed_payload"]) == ("accepted", "receipt", None)


def test_a_receipt_that_comes_while_the_call_is_still_under_way_is_believed(house: House) -> None:
    queued(house)
    provider = ScriptedProvider()
    provider.before_answering = lambda: house.receipts.take([receipt(entry(house), "delivered")])
    house.lane(provider).run()
    assert entry(house)["state"] == "accepted"
    assert house.rows("attempts")[0]["outcome"] == "accepted"
    assert counting(house) == [("delivered", 0)]


def test_a_receipt_that_overtakes_its_own_answer_waits_for_it(house: House) -> None:
    queued(house)
    early = Receipt("scripted", ReceiptState.DELIVERED, AT, provider_reference="theirs")
    provider = ScriptedProvider()
    provider.before_answering = lambda: house.receipts.take([early])
    house.lane(provider).run()
    assert counting(house) == []
    assert house.sweep.run().receipts == 1
    assert counting(house) == [("delivered", 0)]
    assert house.rows("receipts_waiting") == []
    assert house.sweep.run().receipts == 0


def test_a_receipt_of_nobody_waits_a_week_and_is_forgotten(house: House) -> None:
    sent(house)
    lost = Receipt("another", ReceiptState.DELIVERED, AT, provider_reference="theirs")
    assert house.receipts.take([lost, lost]).unmatched == 2
    assert len(house.rows("receipts_waiting")) == 1
    house.sweep.run()
    assert counting(house) == []
    house.later(KEPT + timedelta(minutes=1))
    house.sweep.run()
    assert house.rows("receipts_waiting") == []


def test_the_providers_own_reference_finds_its_entry(house: House) -> None:
    sent(house)
    report = house.receipts.take([Receipt("scripted", ReceiptState.DELIVERED, AT, provider_reference="theirs")])
    assert dict(report.changed) == {"delivered": 1}


def test_a_hard_failure_marks_the_contact_bad_ends_the_pair_and_the_next_channel_follows(house: House) -> None:
    row = sent(house)
    report = house.receipts.take([receipt(row, "failed", permanent=True)])
    assert (report.bad_contacts, report.next_invitations) == (1, 1)
    [bad] = house.rows("bad_contacts")
    assert (bad["channel"], bad["code"], bad["bad_since"] is not None) == ("sms", "code", True)
    first, second = house.rows("outbox")
    assert (first["state"], second["channel"], second["state"]) == ("accepted", "email", "queued")
    assert [t["wrapped_key"] is None for t in house.rows("access_tokens")] == [True, False]
    assert [i["end_reason"] for i in house.rows("invitations")] == ["bounced", None]
    assert house.issue.run().total == 0


def test_a_failure_for_now_leaves_the_pair_alive_and_the_next_channel_follows(house: House) -> None:
    row = sent(house)
    assert house.receipts.take([receipt(row, "failed")]).next_invitations == 1
    assert [t["wrapped_key"] is None for t in house.rows("access_tokens")] == [False, False]
    assert house.rows("invitations")[0]["end_reason"] == "unreached"
    [held] = house.rows("bad_contacts")
    assert (held["failures"], held["bad_since"]) == (1, None)


def test_what_failed_for_now_and_then_for_good_goes_on_once_only(house: House) -> None:
    row = sent(house)
    house.receipts.take([receipt(row, "failed")])
    report = house.receipts.take([receipt(row, "failed", permanent=True, minutes=1)])
    assert (report.next_invitations, report.bad_contacts) == (0, 1)
    assert [each["channel"] for each in house.rows("outbox")] == ["sms", "email"]


def test_who_is_reached_otherwise_hears_nothing_more(house: House) -> None:
    row = sent(house)
    house.receipts.take([receipt(row, "failed")])
    house.lane(ScriptedProvider(), PlainChannel(EMAIL)).run()
    first, second = house.rows("outbox")
    assert (second["channel"], second["state"]) == ("email", "accepted")
    house.receipts.take([receipt(first, "delivered", minutes=1)])
    assert house.receipts.take([receipt(first, "failed", permanent=True, minutes=2)]).next_invitations == 0
    assert len(house.rows("outbox")) == 2


def test_every_contact_bad_is_undeliverable_until_the_feed_brings_another(house: House) -> None:
    [record_id] = house.arrive([person(home=SMS_ONLY, addresses=())])
    house.issue.run()
    house.lane(ScriptedProvider()).run()
    house.receipts.take([receipt(entry(house), "failed", permanent=True)])
    assert house.state(record_id) == "undeliverable"
    house.later(timedelta(days=2))
    assert house.issue.run().total == 0, "a bad contact does not rest, it is bad"
    house.change(record_id, language="cy")
    assert house.issue.run().total == 0, "a message that brings no other contact changes nothing"
    house.change(record_id, home=(ContactPoint(MOBILE, "+447700900999"),))
    assert house.issue.run().total == 1
    lane = ScriptedProvider()
    house.lane(lane).run()
    assert [request.to for request in lane.sent] == ["+447700900999"]
    house.change(record_id, home=SMS_ONLY)
    assert entry(house, 1)["state"] == "accepted"


def test_the_second_number_has_its_turn_when_the_first_is_bad(house: House) -> None:
    numbers = (ContactPoint(MOBILE, "+447700900001"), ContactPoint(MOBILE, "+447700900002"))
    house.arrive([person(home=numbers, addresses=())])
    house.issue.run()
    provider = ScriptedProvider()
    lane = house.lane(provider)
    lane.run()
    house.receipts.take([receipt(entry(house), "failed", permanent=True)])
    lane.run()
    assert [request.to for request in provider.sent] == ["+447700900001", "+447700900002"]
    house.receipts.take([receipt(entry(house, 1), "failed", permanent=True)])
    assert len(house.rows("outbox")) == 2


def test_a_returned_letter_makes_that_address_bad(house: House) -> None:
    [record_id] = house.arrive([person(home=())])
    house.issue.run()
    house.lane(ScriptedProvider(), PlainChannel(LETTER)).run()
    house.receipts.take([receipt(entry(house), "failed", permanent=True)])
    assert house.state(record_id) == "undeliverable"
    [bad] = house.rows("bad_contacts")
    assert bad["channel"] == "letter"


def test_who_shares_a_bad_number_is_not_written_to_there(house: House) -> None:
    one, other = house.arrive([person(1, home=SMS_ONLY, addresses=()), person(2, home=SMS_ONLY, addresses=())])
    house.issue.run(limit=1)
    house.lane(ScriptedProvider()).run()
    house.receipts.take([receipt(entry(house), "failed", permanent=True)])
    assert house.issue.run().total == 0
    assert [house.state(id_) for id_ in (one, other)] == ["undeliverable", "undeliverable"]


def test_a_queued_message_to_a_number_that_turned_bad_goes_by_the_next_channel(house: House) -> None:
    house.arrive([person(1), person(2)])
    house.issue.run(limit=1)
    provider = ScriptedProvider()
    house.lane(provider).run()
    house.issue.run()
    house.receipts.take([receipt(entry(house), "failed", permanent=True)])
    house.lane(provider).run()
    assert len(provider.sent) == 1
    states = [(row["channel"], row["state"]) for row in house.rows("outbox")]
    assert sorted(states) == [("email", "queued"), ("email", "queued"), ("sms", "accepted"), ("sms", "refused")]


def test_what_arrives_after_all_clears_the_contact(house: House) -> None:
    row = sent(house)
    house.receipts.take([receipt(row, "failed", permanent=True)])
    house.receipts.take([receipt(row, "delivered", minutes=1)])
    assert house.rows("bad_contacts") == []
    assert counting(house) == [("delivered", 0)]


def test_the_third_failure_that_was_called_temporary_is_one_for_good(house: House) -> None:
    ids = house.arrive([person(number, home=SMS_ONLY, addresses=()) for number in range(3)])
    for _ in ids:
        house.issue.run(limit=1)
        house.lane(ScriptedProvider()).run()
    rows = house.rows("outbox")
    assert [house.receipts.take([receipt(row, "failed")]).bad_contacts for row in rows] == [0, 0, 1]


def test_who_died_is_not_written_to_by_the_next_channel(house: House) -> None:
    row = sent(house)
    house.change(int(str(row["record_id"])), death=DEAD)
    assert house.receipts.take([receipt(row, "failed", permanent=True)]).next_invitations == 0
    assert house.state(int(str(row["record_id"]))) == "deceased"


def test_receipts_read_no_table_from_end_to_end(sqlite_url: str) -> None:
    house = House(sqlite_url)
    rows = [sent(house, 3)]
    with plans_of(house.database) as steps:
        house.receipts.take([receipt(rows[0], "failed", permanent=True)])
        house.receipts.take([Receipt("scripted", ReceiptState.DELIVERED, AT, provider_reference="elsewhere")])
        house.receipts.match_late()
    house.close()
    assert walks_of_whole_tables(steps) == []


def test_email_only_people_bounce_to_nothing(house: House) -> None:
    [record_id] = house.arrive([person(home=EMAIL_ONLY, addresses=())])
    house.issue.run()
    house.lane(ScriptedProvider(), PlainChannel(EMAIL)).run()
    report = house.receipts.take([receipt(entry(house), "failed", permanent=True)])
    assert (report.bad_contacts, report.next_invitations) == (1, 0)
    assert house.state(record_id) == "undeliverable"
    assert SMS not in {row["channel"] for row in house.rows("outbox")}


def test_a_provider_speaks_of_its_own_messages_alone(house: House) -> None:
    row = sent(house)
    forged = Receipt("another", ReceiptState.FAILED, AT, reference=str(row["reference"]), permanent=True, code="code")
    report = house.receipts.take([forged])
    assert (report.unmatched, report.bad_contacts) == (1, 0)
    assert house.rows("receipts") == []

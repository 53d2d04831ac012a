from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection

from invites import outbox, overview, repository
from invites.eligibility import Eligible, Ineligible, Reason
from invites.errors import IllegalTransition
from invites.invitation import EntryEvent, EntryState
from invites.outbox import Answered, Move, OutboxEntry, Start, Tries
from invites.outlook import Outlook
from invites.repository import eligibility_row
from patient_records.model import BirthDate
from tests.support.people import DEAD, ORGANISATION, House, ScriptedProvider, person

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
TODAY = date(2026, 3, 1)
LEASE = timedelta(minutes=5)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def connection(house: House) -> Iterator[Connection]:
    with house.database.begin() as opened:
        yield opened


def test_eligibility_rows_are_replaced_whole(connection: Connection) -> None:
    both = Ineligible((Reason.NO_CONTACT, Reason.UNDER_AGE))
    repository.put_eligibility(
        connection,
        [eligibility_row(1, "RX1", both, TODAY), eligibility_row(2, "RX1", Eligible(("sms",)), TODAY)],
    )
    states = [overview.explain(connection, record_id).state for record_id in (1, 2, 3)]
    assert states == ["no_contact", "eligible", "not_assessed"]
    assert [reason.code for reason in overview.explain(connection, 1).reasons] == ["no_contact", "under_age"]
    repository.put_eligibility(connection, [eligibility_row(1, "RX1", Eligible(("sms",)), TODAY)])
    assert overview.explain(connection, 1).eligible
    assert overview.explain(connection, 1).reasons == []


def test_the_eligible_are_paged_by_id_within_their_organisation(connection: Connection) -> None:
    rows = [eligibility_row(id_, "RX1" if id_ % 2 else "RX2", Eligible(("sms",)), TODAY) for id_ in range(1, 10)]
    repository.put_eligibility(connection, rows)
    assert repository.eligible_page(connection, "RX1", 0, 3) == [1, 3, 5]
    assert repository.eligible_page(connection, "RX1", 5, 3) == [7, 9]
    assert repository.eligible_page(connection, "RX1", 9, 3) == []


def test_those_under_age_are_paged_once_a_day(connection: Connection) -> None:
    young, yesterday = Ineligible((Reason.UNDER_AGE,)), TODAY - timedelta(days=1)
    days = {1: yesterday, 2: TODAY, 3: yesterday, 4: yesterday - timedelta(days=9), 5: yesterday}
    repository.put_eligibility(connection, [eligibility_row(id_, "RX1", young, on) for id_, on in days.items()])
    repository.put_eligibility(connection, [eligibility_row(6, "RX2", young, yesterday)])
    first = repository.under_age_page(connection, "RX1", TODAY, ("", 0), 2)
    assert [record_id for _, record_id in first] == [4, 1]
    assert [record_id for _, record_id in repository.under_age_page(connection, "RX1", TODAY, first[-1], 9)] == [3, 5]


def test_nothing_is_asked_of_the_database_for_nobody(connection: Connection) -> None:
    repository.put_eligibility(connection, [])
    assert repository.invited_among(connection, []) == set()
    assert repository.highest_numbers(connection, [], "invitation") == {}
    assert repository.token_times(connection, []) == {}
    assert repository.purposes_of(connection, []) == {}
    assert outbox.tries(connection, []) == {}
    assert outbox.at_attempts(connection, {}) == {}


@pytest.mark.parametrize(
    ("reason", "counts"),
    [
        ("cancelled", False), ("expired", False), ("refused", False), ("given_up", False), ("new_contact", False),
        ("pair_expired", True), ("deceased", True),
    ],
)  # fmt: skip
def test_an_invitation_that_never_left_does_not_count(house: House, reason: str, *, counts: bool) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    [invitation] = house.rows("invitations")
    with house.database.begin() as connection:
        assert repository.invited_among(connection, [record_id]) == {record_id}
        assert repository.highest_numbers(connection, [record_id], "invitation") == {record_id: 1}
        assert repository.highest_numbers(connection, [record_id], "reminder") == {}
        repository.end_undelivered(connection, [int(str(invitation["id"]))], reason, NOW)
        assert repository.invited_among(connection, [record_id]) == ({record_id} if counts else set())


def test_a_pair_that_ended_keeps_its_first_reason_and_no_key(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    with house.database.begin() as connection:
        repository.end_tokens_of(connection, [record_id], "registered", NOW)
        repository.end_tokens_of(connection, [record_id], "deceased", NOW)
    [token] = house.rows("access_tokens")
    assert (token["end_reason"], token["wrapped_key"]) == ("registered", None)


def claimed(house: House, count: int = 1) -> list[OutboxEntry]:
    house.arrive([person(number) for number in range(count)])
    house.issue.run()
    with house.database.begin() as connection:
        now = house.database.now(connection)
        return outbox.claim(connection, "sms", "me", lease=LEASE, limit=50, now=now)


def test_a_claim_is_exclusive_and_bounded(house: House) -> None:
    house.arrive([person(number) for number in range(5)])
    house.issue.run()
    with house.database.begin() as connection:
        now = house.database.now(connection)
        first = outbox.claim(connection, "sms", "a", lease=LEASE, limit=3, now=now)
        second = outbox.claim(connection, "sms", "b", lease=LEASE, limit=3, now=now)
        third = outbox.claim(connection, "sms", "c", lease=LEASE, limit=3, now=now)
        other = outbox.claim(connection, "email", "d", lease=LEASE, limit=3, now=now)
    assert [len(taken) for taken in (first, second, third, other)] == [3, 2, 0, 0]
    assert not {entry.id for entry in first} & {entry.id for entry in second}
    assert {entry.state for entry in first + second} == {EntryState.CLAIMED}


def test_only_the_holder_of_a_lease_may_mark(house: House) -> None:
    [entry] = claimed(house)
    with house.database.begin() as connection:
        assert outbox.still_claimed(connection, "me", [entry.id]) == {entry.id}
        assert outbox.still_claimed(connection, "somebody", [entry.id]) == set()
        now = house.database.now(connection)
        outbox.start(connection, [Start(entry, "spool", b"sealed")], lease=LEASE, now=now)
        assert outbox.still_claimed(connection, "me", [entry.id]) == set()


def test_the_fence_knows_the_latest_attempt_only(house: House) -> None:
    [entry] = claimed(house)
    with house.database.begin() as connection:
        now = house.database.now(connection)
        outbox.start(connection, [Start(entry, "spool", b"sealed")], lease=LEASE, now=now)
        assert outbox.at_attempts(connection, {entry.id: 1}) == {entry.id: EntryState.SENDING}
        assert outbox.at_attempts(connection, {entry.id: 0}) == {}
        assert outbox.at_attempts(connection, {entry.id: 2}) == {}
        assert outbox.tries(connection, [entry.id]) == {entry.id: Tries(now, 1)}


@pytest.mark.parametrize(
    ("event", "state", "shredded"),
    [
        (EntryEvent.ACCEPT, "accepted", True),
        (EntryEvent.REFUSE, "refused", True),
        (EntryEvent.GIVE_UP, "given_up", True),
        (EntryEvent.NOT_SENT, "queued", False),
        (EntryEvent.LOSE, "unknown", False),
    ],
)
def test_what_is_final_is_shredded(house: House, event: EntryEvent, state: str, *, shredded: bool) -> None:
    [entry] = claimed(house)
    with house.database.begin() as connection:
        now = house.database.now(connection)
        outbox.start(connection, [Start(entry, "spool", b"sealed")], lease=LEASE, now=now)
        outbox.move(connection, [Move(entry.id, EntryState.SENDING, event, "why", now)], now)
        outbox.answer(connection, [Answered(entry.id, 1, "said", "why")], now)
    [row] = house.rows("outbox")
    assert (row["state"], row["code"]) == (state, "why")
    assert (row["sealed_payload"] is None) == shredded
    assert (row["sealed_request"] is None) == (state != "unknown")
    assert (row["final_at"] is not None) == shredded
    assert (row["due_at"] is None) == shredded
    assert row["lease_owner"] is None


def test_a_step_that_the_table_does_not_have_is_refused(house: House) -> None:
    [entry] = claimed(house)
    with house.database.begin() as connection, pytest.raises(IllegalTransition):
        outbox.move(connection, [Move(entry.id, EntryState.SENDING, EntryEvent.CANCEL)], NOW)


def test_leases_lapse_by_the_databases_clock(house: House) -> None:
    first, second = claimed(house, 2)
    with house.database.begin() as connection:
        now = house.database.now(connection)
        outbox.start(connection, [Start(second, "spool", b"sealed")], lease=LEASE, now=now)
        assert outbox.lapse(connection, limit=9, now=now) == 0
        assert outbox.lapse(connection, limit=9, now=now + LEASE) == 2
    rows = {row["id"]: row["state"] for row in house.rows("outbox")}
    assert rows == {first.id: "queued", second.id: "unknown"}


def test_the_status_counts_and_the_dry_run_agrees_with_the_run(house: House) -> None:
    house.arrive([person(1), person(2, home=()), person(3, death=DEAD), person(4, birth=BirthDate("20200101"))])
    said = Outlook(house.database, house.records, house.options).forecast()
    assert said.by_channel == {"sms": 1, "letter": 1}
    assert said.why_not == {"deceased": 1, "under_age": 1}
    assert house.issue.run().issued == said.by_channel
    with house.database.read() as connection:
        status = overview.status(connection)
    assert status.people == {"invited": 2, "deceased": 1, "under_age": 1}
    assert status.entries == {"sms": {"queued": 1}, "letter": {"queued": 1}}
    assert status.oldest_waiting is not None
    assert (status.for_a_person, status.live_pairs) == (0, 2)


def test_one_persons_story_has_every_invitation_and_attempt(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    house.lane(ScriptedProvider()).run()
    with house.database.read() as connection:
        story = overview.explain(connection, record_id)
        nobody = overview.explain(connection, 1)
    assert (story.state, story.eligible, [reason.code for reason in story.reasons]) == ("invited", False, ["invited"])
    [invitation] = story.invitations
    assert (invitation.channel, invitation.state, invitation.number) == ("sms", "accepted", 1)
    assert [(attempt.number, attempt.outcome) for attempt in invitation.attempts] == [(1, "accepted")]
    assert (nobody.state, nobody.invitations) == ("not_assessed", [])


def test_pairs_expire_with_their_invitations_who_stay_invited(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    house.lane(ScriptedProvider()).run()
    house.later(timedelta(days=30))
    assert house.sweep.run().pairs == 1
    assert house.sweep.run().pairs == 0
    [token], [invitation] = house.rows("access_tokens"), house.rows("invitations")
    assert (token["wrapped_key"], token["end_reason"]) == (None, "expired")
    assert invitation["end_reason"] == "pair_expired"
    assert house.state(record_id) == "invited"
    assert house.rows("eligibility")[0]["organisation"] == ORGANISATION

"""A pair on request (SPEC 7): who gets one, who does not, and what two calls at once come to; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from invites.access_token import lookup, unwrap
from invites.channels.channel import EMAIL, SMS, Accepted, Unknown
from invites.mint import API
from invites.on_request import Issued, Known, Refused
from invites.refusal import Refusal
from patient_records.model import BirthDate, Demographics, Standing
from tests.support.people import DEAD, EMAIL_ONLY, ORGANISATION, House, PlainChannel, ScriptedProvider, person

NOW = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def ask(house: House, *ids: int | None, organisation: str = ORGANISATION) -> list[Issued | Refused]:
    with house.database.begin() as connection:
        now = house.database.now(connection)
        return house.invites.on_request.issue(connection, ids, organisation=organisation, origin=API, now=now)


def one(house: House, id_: int | None, organisation: str = ORGANISATION) -> Issued:
    [answer] = ask(house, id_, organisation=organisation)
    assert isinstance(answer, Issued), answer
    return answer


def assert_opens(house: House, issued: Issued) -> None:
    [row] = house.rows("access_tokens", id=issued.token_id)
    pepper, wrapped, salt = house.ring.pepper(str(row["pepper_id"])), row["wrapped_key"], row["salt"]
    assert isinstance(wrapped, bytes)
    assert isinstance(salt, bytes)
    with house.database.read() as connection:
        opened = house.records.load(connection, [issued.record_id])[issued.record_id]
    assert row["lookup"] == lookup(issued.pair.code, pepper)
    assert unwrap(wrapped, issued.pair, pepper, salt, issued.token_id) == opened.key.raw


def test_a_pair_that_opens_the_record_and_is_no_invitation(house: House) -> None:
    [id_] = house.arrive([person()])
    issued = one(house, id_)
    assert_opens(house, issued)
    [row] = house.rows("access_tokens")
    assert row["origin"] == "api"
    assert house.rows("invitations") == house.rows("outbox") == []
    assert house.state(id_) == "eligible"
    assert house.issue.run().total == 1, "a pair issued over the API alone is no invitation (SPEC 5.1)"


def test_each_request_issues_a_new_pair_and_older_ones_live_on(house: House) -> None:
    [id_] = house.arrive([person()])
    pairs = [one(house, id_) for _ in range(3)]
    assert len({issued.pair.code for issued in pairs}) == 3
    for issued in pairs:
        assert_opens(house, issued)


def test_it_lives_as_long_as_any_other_pair(house: House) -> None:
    [id_] = house.arrive([person()])
    issued = one(house, id_)
    [row] = house.rows("access_tokens")
    lives = int(str(row["expires_at"])) - int(str(row["created_at"]))
    assert lives == house.options.lifetime // timedelta(microseconds=1)
    assert abs(issued.expires_at - datetime.now(UTC) - house.options.lifetime) < timedelta(minutes=1)


PEOPLE: dict[Refusal, tuple[Demographics, Standing]] = {
    Refusal.REGISTERED: (person(), Standing(registered_at=NOW)),
    Refusal.NO_DATE_OF_BIRTH: (person(birth=None), Standing()),
    Refusal.DECEASED: (person(death=DEAD), Standing()),
    Refusal.UNDER_AGE: (person(birth=BirthDate("20200101")), Standing()),
    Refusal.NOT_FOUND: (person(), Standing(deleted_at=NOW)),
}


def _standing(house: House, demographics: Demographics, standing: Standing, organisation: str = ORGANISATION) -> int:
    [id_] = house.arrive([demographics], organisation)
    house.change(id_, standing=standing)
    return id_


@pytest.mark.parametrize("refusal", PEOPLE)
def test_who_gets_none(house: House, refusal: Refusal) -> None:
    id_ = _standing(house, *PEOPLE[refusal])
    assert ask(house, id_) == [Refused(refusal, id_)]
    assert house.rows("access_tokens") == []


@pytest.mark.parametrize(
    ("demographics", "standing"),
    [
        (person(), Standing(hold="looked at by hand")),
        (person(), Standing(opted_out_at=NOW)),
        (person(), Standing(exclusion="staff")),
        (person(protection="Y"), Standing()),
    ],
    ids=["held", "opted out", "excluded", "confidential"],
)
def test_held_opted_out_and_excluded_are_one_answer(
    house: House, demographics: Demographics, standing: Standing
) -> None:
    id_ = _standing(house, demographics, standing)
    assert ask(house, id_) == [Refused(Refusal.EXCLUDED, id_)]


def test_a_part_of_a_date_of_birth_is_none(house: House) -> None:
    id_ = _standing(house, person(birth=BirthDate("198012")), Standing())
    assert ask(house, id_) == [Refused(Refusal.NO_DATE_OF_BIRTH, id_)]


def test_nobody_is_nobody(house: House) -> None:
    assert ask(house, None) == [Refused(Refusal.NOT_FOUND)]


def test_another_organisation_learns_nothing_but_that(house: House) -> None:
    id_ = _standing(house, person(death=DEAD), Standing(registered_at=NOW), organisation="RX2")
    assert ask(house, id_) == [Refused(Refusal.ORGANISATION, id_)]
    deleted = _standing(house, person(2), Standing(deleted_at=NOW), organisation="RX2")
    assert ask(house, deleted) == [Refused(Refusal.NOT_FOUND, deleted)]


def test_who_cannot_be_reached_and_who_was_invited_gets_one_all_the_same(house: House) -> None:
    nowhere, invited = house.arrive([person(1, home=(), addresses=()), person(2)])
    assert house.issue.run().total == 1
    assert house.state(nowhere) == "no_contact"
    for id_ in (nowhere, invited):
        assert_opens(house, one(house, id_))


def test_a_merged_id_answers_for_its_survivor(house: House) -> None:
    survivor, middle, first = house.arrive([person(number) for number in range(3)])
    house.change(middle, standing=Standing(merged_into=survivor))
    house.change(first, standing=Standing(merged_into=middle))
    issued = one(house, first)
    assert issued.record_id == survivor
    assert_opens(house, issued)
    house.change(survivor, standing=Standing(registered_at=NOW))
    assert ask(house, first) == [Refused(Refusal.REGISTERED, survivor)]


def _emailed(house: House, id_: int) -> bool:
    issued = one(house, id_)
    with house.database.read() as connection:
        now = house.database.now(connection)
        [known] = house.invites.on_request.look(connection, [id_], organisation=ORGANISATION, now=now)
    assert isinstance(known, Known)
    assert known.emailed == issued.emailed
    return issued.emailed


def test_emailed_is_only_who_was_really_sent_an_email(house: House) -> None:
    """Neither a pair, nor an invitation that waits, nor one whose outcome nobody knows, nor a text message is one."""
    by_mail, by_sms, unknown = house.arrive([person(1, home=EMAIL_ONLY), person(2), person(3, home=EMAIL_ONLY)])
    assert not _emailed(house, by_mail)
    house.issue.run()
    assert not _emailed(house, by_mail)
    provider = ScriptedProvider()
    provider.script = [Accepted("theirs"), Unknown("no_answer")]
    house.lane(provider, PlainChannel(EMAIL)).run()
    house.lane(ScriptedProvider(), PlainChannel(SMS)).run()
    states = {row["record_id"]: row["state"] for row in house.rows("outbox")}
    assert sorted(str(states[id_]) for id_ in (by_mail, unknown)) == ["accepted", "unknown"]
    accepted = by_mail if states[by_mail] == "accepted" else unknown
    assert {id_: _emailed(house, id_) for id_ in (by_mail, by_sms, unknown)} == {
        by_mail: by_mail == accepted,
        by_sms: False,
        unknown: unknown == accepted,
    }


def test_many_at_once_in_their_order_and_refusals_in_place(house: House) -> None:
    first, dead, last = house.arrive([person(1), person(2, death=DEAD), person(3)])
    answers = ask(house, last, dead, None, first, last)
    assert [answer.record_id for answer in answers] == [last, dead, None, first, last]
    issued = [answer for answer in answers if isinstance(answer, Issued)]
    assert len({answer.pair.code for answer in issued}) == 3
    for answer in issued:
        assert_opens(house, answer)


def test_a_record_that_does_not_open_is_told_and_keeps_nobody_else(house: House) -> None:
    broken, good = house.arrive([person(1), person(2)])
    with house.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE patient_records SET version = version + 1 WHERE id = {broken}")
    answers = ask(house, broken, good)
    assert answers[0] == Refused(Refusal.DOES_NOT_OPEN, broken)
    assert isinstance(answers[1], Issued)


def test_two_daemons_at_once_give_good_pairs_only(database_url: str) -> None:
    house = House(database_url)
    beside = House(database_url, ring=house.ring)
    [id_] = house.arrive([person()])
    issued: list[Issued] = []
    start = threading.Barrier(4)

    def call(daemon: House) -> None:
        start.wait()
        issued.extend(one(daemon, id_) for _ in range(5))

    threads = [threading.Thread(target=call, args=(daemon,)) for daemon in (house, beside, house, beside)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer.pair.code for answer in issued}) == 20
    for answer in issued:
        assert_opens(house, answer)
    beside.close()
    house.close()


def test_who_registers_while_a_call_waits_gets_no_pair(house: House) -> None:
    """The record is judged as it is under the lock, not as it was when somebody asked."""
    if house.database.dialect == "sqlite":
        pytest.skip("one writer at a time: nothing can come in between")
    [id_] = house.arrive([person()])
    answers: list[Issued | Refused] = []
    asking = threading.Thread(target=lambda: answers.extend(ask(house, id_)))
    with house.database.begin() as connection:
        before = house.records.load(connection, [id_], lock=True)[id_]
        asking.start()
        after = before.changed(before.record.demographics, Standing(registered_at=NOW))
        house.records.save(connection, [(before, after)], NOW)
    asking.join()
    assert answers == [Refused(Refusal.REGISTERED, id_)]


def _look(house: House, organisation: str, *ids: int | None) -> list[Known | Refused]:
    with house.database.read() as connection:
        now = house.database.now(connection)
        return house.invites.on_request.look(connection, ids, organisation=organisation, now=now)


def test_looking_issues_nothing_and_tells_what_a_request_would_get(house: House) -> None:
    adult, dead = house.arrive([person(1), person(2, death=DEAD)])
    foreign = _standing(house, person(3, death=DEAD), Standing(), organisation="RX2")
    gone = _standing(house, person(4), Standing(deleted_at=NOW))
    assert _look(house, ORGANISATION, adult, dead, foreign, gone, None) == [
        Known(adult, registered=False, deceased=False, emailed=False, refusal=None),
        Known(dead, registered=False, deceased=True, emailed=False, refusal=Refusal.DECEASED),
        Refused(Refusal.ORGANISATION, foreign),
        Refused(Refusal.NOT_FOUND, gone),
        Refused(Refusal.NOT_FOUND),
    ]
    assert house.rows("access_tokens") == []


def test_the_first_refusal_that_holds_is_told(house: House) -> None:
    order: list[Callable[[], tuple[Demographics, Standing]]] = [
        lambda: (person(1, birth=None, death=DEAD), Standing(registered_at=NOW, hold="x")),
        lambda: (person(2, birth=None, death=DEAD), Standing(hold="x")),
        lambda: (person(3, birth=BirthDate("20200101"), death=DEAD), Standing(hold="x")),
        lambda: (person(4, birth=BirthDate("20200101")), Standing(hold="x")),
        lambda: (person(5), Standing(hold="x")),
    ]
    told = [_look(house, ORGANISATION, _standing(house, *made()))[0] for made in order]
    assert [known.refusal for known in told] == [
        Refusal.REGISTERED,
        Refusal.NO_DATE_OF_BIRTH,
        Refusal.DECEASED,
        Refusal.UNDER_AGE,
        Refusal.EXCLUDED,
    ]

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from daemon import bootstrap
from daemon.commands import invite
from invites.access_token import AccessToken, lookup, parse, unwrap
from invites.content import decode
from invites.enqueue import Draft
from invites.issue import IssueReport
from invites.mint import Mint
from invites.outbox import PAYLOAD
from patient_records.errors import StorageConflict
from patient_records.model import BirthDate, Standing
from tests.support.people import DEAD, EMAIL_ONLY, House, person


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def test_everybody_eligible_is_invited_once_and_everybody_else_has_a_reason(house: House) -> None:
    adult, child, dead, post_only, email_only = house.arrive(
        [
            person(1),
            person(2, birth=BirthDate("20200101")),
            person(3, death=DEAD),
            person(4, home=()),
            person(5, home=EMAIL_ONLY),
        ]
    )
    report = house.issue.run()
    assert report.issued == Counter(sms=1, email=1, letter=1)
    assert house.issue.run() == IssueReport()
    states = {row["record_id"]: row["state"] for row in house.rows("eligibility")}
    assert states == {
        adult: "invited",
        child: "under_age",
        dead: "deceased",
        post_only: "invited",
        email_only: "invited",
    }
    entries = {row["record_id"]: row for row in house.rows("outbox")}
    assert {id_: row["channel"] for id_, row in entries.items()} == {
        adult: "sms",
        post_only: "letter",
        email_only: "email",
    }
    assert entries[adult]["business_key"] == f"{adult}/invitation/1"


def test_the_pair_opens_the_record_and_only_the_sealed_entry_has_it(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    [token], [entry] = house.rows("access_tokens"), house.rows("outbox")
    with house.database.read() as connection:
        opened = house.records.load(connection, [record_id])[record_id]
    assert isinstance(entry["sealed_payload"], bytes)
    said = decode(opened.key.open(entry["sealed_payload"], PAYLOAD, int(str(entry["id"]))))
    pair = AccessToken(said.code, said.token)
    assert parse(said.code, said.token) == pair
    pepper = house.ring.pepper(str(token["pepper_id"]))
    assert token["lookup"] == lookup(pair.code, pepper)
    wrapped, salt, token_id = token["wrapped_key"], token["salt"], token["id"]
    assert isinstance(wrapped, bytes)
    assert isinstance(salt, bytes)
    assert isinstance(token_id, int)
    assert unwrap(wrapped, pair, pepper, salt, token_id) == opened.key.raw
    stored = repr([house.rows(name) for name in ("access_tokens", "invitations", "outbox", "eligibility")])
    assert pair.code not in stored
    assert pair.token not in stored


def test_a_letter_is_never_posted_with_less_than_14_days_left(house: House) -> None:
    house.arrive([person(home=())])
    house.issue.run()
    [token], [entry] = house.rows("access_tokens"), house.rows("outbox")
    assert int(str(token["expires_at"])) - int(str(entry["expires_at"])) == timedelta(days=14) // timedelta(
        microseconds=1
    )


def test_a_run_keeps_its_limit_and_stops_between_batches(house: House) -> None:
    house.arrive([person(number) for number in range(250)])
    assert house.issue.run(limit=120).total == 120
    heard: list[int] = []
    assert house.issue.run(stopping=lambda: bool(heard), progress=heard.append).total == 100
    assert heard == [100]
    assert house.issue.run().total == 30


def test_other_organisations_are_not_invited_for(house: House) -> None:
    house.arrive([person()], organisation="RX2")
    assert house.issue.run() == IssueReport()


def test_a_stale_eligible_is_found_out_by_looking_again(house: House) -> None:
    [record_id] = house.arrive([person()])
    with house.database.begin() as connection:
        before = house.records.load(connection, [record_id])[record_id]
        after = before.changed(before.record.demographics, Standing(hold="by hand, behind our back"))
        house.records.save(connection, [(before, after)], house.database.now(connection))
    report = house.issue.run()
    assert report.total == 0
    assert report.ineligible == Counter(held=1)
    assert house.state(record_id) == "held"
    assert house.rows("access_tokens") == []


def test_who_was_invited_is_not_invited_again_whatever_the_eligibility_table_says(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    with house.database.begin() as connection:
        connection.exec_driver_sql("UPDATE eligibility SET state = 'eligible', reasons = ''")
    assert house.issue.run().ineligible == Counter(invited=1)
    assert house.state(record_id) == "invited"
    assert len(house.rows("invitations")) == 1


def test_two_daemons_at_once_invite_nobody_twice(database_url: str) -> None:
    one = House(database_url)
    other = House(database_url, ring=one.ring)
    ids = one.arrive([person(number) for number in range(400)])
    reports: list[IssueReport] = []
    threads = [
        threading.Thread(target=lambda daemon=daemon: reports.append(daemon.issue.run())) for daemon in (one, other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    reports.append(one.issue.run())
    invited = Counter(row["record_id"] for row in one.rows("invitations"))
    assert invited == Counter(dict.fromkeys(ids, 1))
    assert sum(report.total for report in reports) == 400
    one.close()
    other.close()


def test_the_business_key_is_the_last_guard(house: House) -> None:
    [record_id] = house.arrive([person()])
    with house.database.read() as connection:
        opened = house.records.load(connection, [record_id])[record_id]

    def invite() -> None:
        with house.database.begin() as connection:
            house.enqueue(connection, [Draft(opened, "sms", "invitation", 1)], house.database.now(connection))

    invite()
    with pytest.raises(StorageConflict):
        invite()
    assert len(house.rows("access_tokens")) == len(house.rows("invitations")) == len(house.rows("outbox")) == 1


def test_a_batch_that_always_conflicts_is_passed_over_and_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.arrive([person(number) for number in range(150)])
    monkeypatch.setattr(Mint, "pairs", _conflict)
    report = house.issue.run()
    assert report.conflicts == 2
    assert report.total == 0
    monkeypatch.undo()
    assert house.issue.run().total == 150


def _conflict(*_: object) -> None:
    raise StorageConflict("23505")


def test_one_record_that_does_not_open_keeps_nobody_else_from_being_invited(house: House) -> None:
    first, second = house.arrive([person(1), person(2)])
    with house.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE patient_records SET version = version + 1 WHERE id = {first}")
    assert house.issue.run().total == 1
    assert house.state(first) == "eligible"
    assert house.state(second) == "invited"


def test_a_run_pauses_after_each_batch(house: House) -> None:
    house.arrive([person(number) for number in range(250)])
    heard: list[object] = []
    house.issue.run(progress=heard.append, pause=lambda: heard.append("pause"))
    assert heard == [100, "pause", 200, "pause", 250, "pause"]


def test_the_command_lets_a_daemon_have_its_turn_where_writers_poll(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.arrive([person(number) for number in range(150)])
    slept: list[float] = []
    monkeypatch.setattr("daemon.commands.invite.time", SimpleNamespace(sleep=slept.append))  # its own alone
    assert invite._invite(cast("bootstrap.House", house), None) == {"sms": 150}
    assert slept == ([invite.PAUSE] * 2 if house.database.dialect == "sqlite" else [])

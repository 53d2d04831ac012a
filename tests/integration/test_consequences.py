from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Connection

from invites import repository
from patient_records.bulk import Row
from patient_records.model import BirthDate, PersonName, Standing
from tests.support.people import DEAD, EMAIL_ONLY, House, person

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


STOPS: list[tuple[str, dict[str, Any]]] = [
    ("deceased", {"death": DEAD}),
    ("deleted", {"standing": Standing(deleted_at=NOW)}),
    ("merged", {"standing": Standing(merged_into=7)}),
    ("registered", {"standing": Standing(registered_at=NOW)}),
    ("held", {"standing": Standing(hold="ambiguous")}),
    ("excluded", {"standing": Standing(exclusion="staff")}),
    ("opted_out", {"standing": Standing(opted_out_at=NOW)}),
    ("confidential", {"protection": "Y"}),
    ("new_date_of_birth", {"birth": BirthDate("19801211")}),
    ("new_date_of_birth", {"birth": None}),
]


@pytest.mark.parametrize(("reason", "change"), STOPS, ids=[f"{n}-{stop[0]}" for n, stop in enumerate(STOPS)])
def test_what_stops_cancels_what_is_queued_and_ends_the_pair(house: House, reason: str, change: dict[str, Any]) -> None:
    stopped, other = house.arrive([person(1), person(2)])
    house.issue.run()
    house.change(stopped, **change)
    [entry], [token] = house.rows("outbox", record_id=stopped), house.rows("access_tokens", record_id=stopped)
    assert (entry["state"], entry["code"]) == ("cancelled", reason)
    assert entry["sealed_payload"] is None
    assert entry["final_at"] is not None
    assert (token["wrapped_key"], token["end_reason"]) == (None, reason)
    [invitation] = house.rows("invitations", record_id=stopped)
    assert invitation["end_reason"] == "cancelled"
    assert house.rows("outbox", record_id=other)[0]["state"] == "queued"
    assert house.rows("access_tokens", record_id=other)[0]["wrapped_key"] is not None


def test_a_hold_lifted_before_anything_was_sent_lets_the_person_be_invited(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    house.change(record_id, standing=Standing(hold="ambiguous"))
    assert house.state(record_id) == "held"
    assert house.issue.run().total == 0
    house.change(record_id, standing=Standing())
    assert house.state(record_id) == "eligible"
    assert house.issue.run().total == 1
    assert [row["number"] for row in house.rows("invitations")] == [1, 2]
    assert [row["state"] for row in house.rows("outbox")] == ["cancelled", "queued"]


def test_what_is_being_sent_cannot_be_unsent_but_its_pair_ends(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    _set_state(house, "sending")
    house.change(record_id, death=DEAD)
    [entry], [token] = house.rows("outbox"), house.rows("access_tokens")
    assert entry["state"] == "sending"
    assert token["wrapped_key"] is None
    [row] = house.rows("eligibility")
    assert row["state"] == "deceased"
    assert row["reasons"] == "deceased,invited"


def test_who_was_written_to_stays_invited_whatever_changes(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    _set_state(house, "accepted")
    house.change(record_id, birth=BirthDate("19801211"))
    assert house.state(record_id) == "invited"
    assert house.issue.run().total == 0


@pytest.mark.parametrize(
    "change",
    [{"names": (PersonName("Byron", "Ada"),)}, {"home": EMAIL_ONLY}, {"sex": "X"}, {"language": "cy"}],
    ids=["name", "contact", "sex", "language"],
)
def test_what_does_not_stop_leaves_invitations_and_tables_alone(
    house: House, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    before = [house.rows(name) for name in ("eligibility", "access_tokens", "invitations", "outbox")]
    put = written(monkeypatch)
    house.change(record_id, **change)
    assert [house.rows(name) for name in ("eligibility", "access_tokens", "invitations", "outbox")] == before
    assert put == []


def test_a_contact_that_comes_later_makes_eligible(house: House) -> None:
    [record_id] = house.arrive([person(home=(), addresses=())])
    assert house.state(record_id) == "no_contact"
    house.change(record_id, home=EMAIL_ONLY)
    assert house.state(record_id) == "eligible"


def test_death_revoked_before_anything_was_sent_makes_eligible_again(house: House) -> None:
    [record_id] = house.arrive([person(death=DEAD)])
    house.change(record_id, death=None)
    assert house.state(record_id) == "eligible"


def test_many_changes_cost_one_statement(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    put = written(monkeypatch)
    house.arrive([person(number) for number in range(100)])
    assert put == [100]


def test_undone_with_the_transaction(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()

    class Undo(Exception):
        pass

    original = house.consequences.records_changed

    def then_fail(*arguments: Any) -> None:
        original(*arguments)
        raise Undo

    house.consequences.records_changed = then_fail  # type: ignore[method-assign, assignment]
    with pytest.raises(Undo):
        house.change(record_id, death=DEAD)
    assert house.rows("outbox")[0]["state"] == "queued"
    assert house.rows("access_tokens")[0]["wrapped_key"] is not None


def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many eligibility rows each statement from now on writes."""
    sizes: list[int] = []
    run = repository._PUT.run

    def counted(connection: Connection, rows: Sequence[Row]) -> None:
        if rows:
            sizes.append(len(rows))
        run(connection, rows)

    monkeypatch.setattr(repository._PUT, "run", counted)
    return sizes


def _set_state(house: House, state: str) -> None:
    with house.database.begin() as connection:
        connection.exec_driver_sql(f"UPDATE outbox SET state = '{state}', attempt = 1")

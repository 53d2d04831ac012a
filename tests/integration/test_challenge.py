"""A pair and a date of birth open the record, by themselves; whatever is wrong costs and shows the same."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from invites.access_token import AccessToken, draw, unwrap
from invites.accounts import challenge as module
from invites.accounts.challenge import Proven
from invites.accounts.limits import WRONG_BY_ADDRESS, WRONG_BY_RECORD, WRONG_DATES
from invites.accounts.lockouts import lift, locked_pairs, locked_person
from invites.errors import AccessTokenDoesNotOpen
from invites.tables import access_tokens
from patient_records.errors import KeyFault
from patient_records.keys import Key, KeyRing
from patient_records.limits import Exceeded
from patient_records.model import BirthDate, Standing
from patient_records.repository import Records
from tests.support.accounts import BORN, Registry, draw_one, statements, without_organisation_keys
from tests.support.patience import SAFETY
from tests.support.people import DEAD, House, person

ANOTHER_DAY = date(1980, 12, 11)
NOW = datetime.now(UTC)


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


@pytest.fixture
def registry(house: House) -> Registry:
    return Registry(house)


def other_half(pair: AccessToken) -> AccessToken:
    """The same code with a token that is well formed and another's."""
    [drawn] = draw(1, os.urandom)
    return AccessToken(pair.code, drawn.token)


def test_the_record_opens_without_the_organisation_key(house: House) -> None:
    registry = Registry(house, without_organisation_keys(house.ring))
    record_id = registry.somebody()
    pair = registry.pair(record_id)
    with pytest.raises(KeyFault), house.database.read() as connection:
        registry.records.load(connection, [record_id])  # so this truly cannot
    proven = registry.prove(pair)
    assert isinstance(proven, Proven)
    assert proven.opened.record.demographics == person()


def test_without_the_token_or_after_expiry_nothing_opens_it_but_the_organisation_key(house: House) -> None:
    registry = Registry(house, without_organisation_keys(house.ring))
    record_id = registry.somebody()
    pair = registry.pair(record_id)
    [row] = house.rows("access_tokens")
    wrapped, salt = row["wrapped_key"], row["salt"]
    assert isinstance(wrapped, bytes)
    assert isinstance(salt, bytes)
    pepper = house.ring.pepper(house.ring.pepper_id)
    with pytest.raises(AccessTokenDoesNotOpen):
        unwrap(wrapped, other_half(pair), pepper, salt, int(str(row["id"])))
    assert registry.prove(other_half(pair)) is None
    house.later(timedelta(days=31))
    assert registry.prove(pair) is None  # although its wrap is still there
    house.sweep.run()
    assert house.rows("access_tokens")[0]["wrapped_key"] is None
    assert registry.prove(pair) is None
    with house.database.read() as connection:
        assert house.records.load(connection, [record_id])[record_id].record.demographics == person()


def test_a_pair_of_an_old_pepper_is_good_until_it_ends(house: House) -> None:
    registry = Registry(house)
    pair = registry.pair(registry.somebody())
    new = Key("pepper.2", "pepper", None, b"n" * 32)
    rotated = KeyRing([*house.ring.keys, new], {**house.ring.current, "pepper": "pepper.2"})
    assert isinstance(Registry(house, rotated).prove(pair), Proven)


def test_the_right_answer_spends_nothing(registry: Registry) -> None:
    pair = registry.pair(registry.somebody())
    assert all(isinstance(registry.prove(pair), Proven) for _ in range(40))


# ---- whatever is wrong


def unknown(_registry: Registry, _id: int, _pair: AccessToken) -> tuple[AccessToken, date]:
    return draw_one(), BORN


def wrong_token(_registry: Registry, _id: int, pair: AccessToken) -> tuple[AccessToken, date]:
    return other_half(pair), BORN


def wrong_date(_registry: Registry, _id: int, pair: AccessToken) -> tuple[AccessToken, date]:
    return pair, ANOTHER_DAY


def both_wrong(_registry: Registry, _id: int, pair: AccessToken) -> tuple[AccessToken, date]:
    return other_half(pair), ANOTHER_DAY


def expired(registry: Registry, _id: int, pair: AccessToken) -> tuple[AccessToken, date]:
    registry.house.later(timedelta(days=31))
    return pair, BORN


def spent(registry: Registry, _id: int, pair: AccessToken) -> tuple[AccessToken, date]:
    with registry.house.database.begin() as connection:
        connection.execute(update(access_tokens).values(ended_at=1, end_reason="registered", wrapped_key=None))
    return pair, BORN


def standing(**given: Any) -> Callable[[Registry, int, AccessToken], tuple[AccessToken, date]]:
    def change(registry: Registry, record_id: int, pair: AccessToken) -> tuple[AccessToken, date]:
        registry.house.change(record_id, standing=Standing(**given))
        revive(registry)
        return pair, BORN

    change.__name__ = next(iter(given))
    return change


def dead(registry: Registry, record_id: int, pair: AccessToken) -> tuple[AccessToken, date]:
    registry.house.change(record_id, death=DEAD)
    revive(registry)
    return pair, BORN


def no_date(registry: Registry, record_id: int, pair: AccessToken) -> tuple[AccessToken, date]:
    registry.house.change(record_id, birth=BirthDate("198012"))
    revive(registry)
    return pair, BORN


def revive(registry: Registry) -> None:
    """Undo that the change ended the pair, so that what is tested is the look at redeeming."""
    with registry.house.database.begin() as connection:
        connection.execute(update(access_tokens).values(ended_at=None, end_reason=None, wrapped_key=b"w" * 48))


WRONG = [
    unknown,
    wrong_token,
    wrong_date,
    both_wrong,
    expired,
    spent,
    dead,
    no_date,
    standing(deleted_at=NOW),
    standing(registered_at=NOW),
    standing(hold="identity"),
    standing(exclusion="staff"),
    standing(opted_out_at=NOW),
    standing(merged_into=5),
]


def counted(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, calls: list[str]) -> None:
    """Note each call of a function, and make it."""
    real = getattr(owner, name)

    def noting(*given: Any) -> Any:
        calls.append(name)
        return real(*given)

    monkeypatch.setattr(owner, name, noting)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_whatever_is_wrong_is_the_same_answer_after_the_same_work(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., tuple[AccessToken, date]]
) -> None:
    house = registry.house
    derived: list[str] = []
    opened: list[str] = []
    record_id = registry.somebody()
    pair = registry.pair(record_id)
    registry.prove(*unknown(registry, 0, pair))  # so that both windows are open already
    typed, born = wrong(registry, record_id, pair)
    counted(monkeypatch, module, "unwrap", derived)
    counted(monkeypatch, Records, "open_with", opened)
    with statements(house, monkeypatch) as reference:
        assert registry.prove(*unknown(registry, 0, pair)) is None
    with statements(house, monkeypatch) as seen:
        assert registry.prove(typed, born) is None
    assert seen == reference
    assert len(seen) > 6
    assert (len(derived), len(opened)) == (2, 2)


def test_five_wrong_dates_end_a_pair_for_good_and_staff_see_it(registry: Registry) -> None:
    record_id = registry.somebody()
    pair, other = registry.pair(record_id), registry.pair(record_id)
    for _ in range(WRONG_DATES - 1):
        assert registry.prove(pair, ANOTHER_DAY) is None
    assert isinstance(registry.prove(pair), Proven)  # four are forgiven
    assert registry.prove(pair, ANOTHER_DAY) is None
    assert registry.prove(pair) is None
    assert isinstance(registry.prove(other), Proven)  # of the pair, not of the person
    row = next(row for row in registry.house.rows("access_tokens") if row["end_reason"])
    assert (row["end_reason"], row["wrong_answers"], row["wrapped_key"]) == ("wrong_dates", WRONG_DATES, None)
    assert registry.audited() == ["pair_locked"]
    with registry.house.database.read() as connection:
        now = registry.house.database.now(connection)
        since = now - timedelta(days=1)
        [locked] = locked_pairs(connection, "RX1", since=since, limit=10)
        [somebody] = registry.house.rows("patient_records")
        assert (locked.public_id, locked.reason) == (somebody["public_id"], "wrong_dates")
        assert locked.token_id == row["id"]
        assert locked_pairs(connection, "RX2", since=since, limit=10) == []
        assert locked_pairs(connection, "RX1", since=now + timedelta(seconds=1), limit=10) == []


def test_too_many_wrong_answers_from_one_address_close_it_and_no_other(registry: Registry) -> None:
    pair = registry.pair(registry.somebody())
    for _ in range(WRONG_BY_ADDRESS.most):
        assert registry.prove(*unknown(registry, 0, pair)) is None
    refused = registry.prove(pair)
    assert isinstance(refused, Exceeded)
    assert 0 < refused.retry_after <= 900
    assert isinstance(registry.prove(pair, address="192.0.2.8"), Proven)
    registry.house.later(timedelta(minutes=16))
    assert isinstance(registry.prove(pair), Proven)


def test_a_dozen_tries_at_once_are_not_a_dozen_guesses(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    most, dozen = 3, 12
    monkeypatch.setattr(module, "WRONG_BY_ADDRESS", msgspec.structs.replace(WRONG_BY_ADDRESS, most=most))
    pairs = [registry.pair(registry.somebody(number)) for number in range(dozen)]
    together = threading.Barrier(dozen)

    def guess(pair: AccessToken) -> object:
        together.wait(SAFETY)
        return registry.prove(pair, ANOTHER_DAY)

    with ThreadPoolExecutor(dozen) as pool:
        said = list(pool.map(guess, pairs))
    assert sum(answer is None for answer in said) == most
    assert sum(row["wrong_answers"] == 1 for row in registry.house.rows("access_tokens")) == most
    assert isinstance(registry.prove(pairs[0]), Exceeded)
    assert isinstance(registry.prove(pairs[0], address="192.0.2.8"), Proven)


def test_too_many_wrong_answers_about_one_person_refuse_even_the_right_one(registry: Registry) -> None:
    record_id = registry.somebody()
    pair = registry.pair(record_id)
    for number in range(WRONG_BY_RECORD.most):
        assert registry.prove(other_half(pair), address=f"192.0.2.{number}") is None
    assert registry.prove(pair, address="198.51.100.1") is None
    with registry.house.database.begin() as connection:
        now = registry.house.database.now(connection)
        assert locked_person(connection, registry.limits, record_id, now) is not None
        lift(connection, registry.limits, registry.house.records.load(connection, [record_id])[record_id])
        assert locked_person(connection, registry.limits, record_id, now) is None
    assert isinstance(registry.prove(pair), Proven)


def test_this_is_not_me_ends_the_pair_and_says_nothing(registry: Registry) -> None:
    pair = registry.pair(registry.somebody())
    database = registry.house.database

    def disown(typed: AccessToken) -> object:
        with database.begin() as connection:
            return registry.accounts.challenge.disown(connection, typed, "192.0.2.9", database.now(connection))

    assert disown(other_half(pair)) is None
    assert isinstance(registry.prove(pair), Proven)  # who has only the code ends nothing
    assert disown(pair) is None
    assert registry.prove(pair) is None
    assert registry.house.rows("access_tokens")[0]["end_reason"] == "disowned"
    assert registry.audited() == ["pair_disowned"]
    assert disown(pair) is None


def test_not_me_does_the_same_work_for_a_pair_that_nobody_has(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = registry.house
    pair = registry.pair(registry.somebody())
    registry.prove(*unknown(registry, 0, pair))

    def disown(typed: AccessToken) -> list[str]:
        with statements(house, monkeypatch) as seen, house.database.begin() as connection:
            registry.accounts.challenge.disown(connection, typed, "192.0.2.7", house.database.now(connection))
        return seen

    assert disown(unknown(registry, 0, pair)[0]) == disown(other_half(pair))

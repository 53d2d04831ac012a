"""Merged records lead to their survivor, on both databases."""

from __future__ import annotations

from patient_records import effects
from patient_records.effects import Act, Effect
from patient_records.lineage import forerunners_of, survivor_of, survivors_of
from patient_records.model import Demographics, Identifier, Standing
from tests.contract.conftest import NOW, RX1, Stores


def people(stores: Stores, count: int) -> list[int]:
    made = [
        stores.records.make(RX1, Demographics(identifiers=(Identifier("RX1", "MR", str(n), RX1),)), NOW)
        for n in range(count)
    ]
    return [opened.record.id for opened in stores.save(*((None, one) for one in made))]


def merge(stores: Stores, prior: int, survivor: int | None) -> None:
    before = stores.load(prior)
    stores.save((before, before.changed(before.record.demographics, Standing(merged_into=survivor))))


def test_a_chain_leads_to_its_end_and_back_to_all_its_beginnings(stores: Stores) -> None:
    a, b, c, d, e = people(stores, 5)
    for prior, survivor in [(a, b), (b, c), (d, c)]:
        merge(stores, prior, survivor)
    with stores.database.read() as connection:
        assert survivors_of(connection, [a, b, c, d, e]) == {a: c, b: c, c: c, d: c, e: e}
        assert survivors_of(connection, []) == {}
        assert survivor_of(connection, 4711) == 4711
        assert forerunners_of(connection, c) == sorted([a, b, d])
        assert forerunners_of(connection, b) == [a]
        assert forerunners_of(connection, e) == []


def test_a_merge_turned_round_leads_the_other_way(stores: Stores) -> None:
    a, b = people(stores, 2)
    merge(stores, a, b)
    merge(stores, a, None)
    merge(stores, b, a)
    with stores.database.read() as connection:
        assert survivors_of(connection, [a, b]) == {a: a, b: a}
        assert forerunners_of(connection, a) == [b]


def test_effects_are_told_of_everybody_they_touched_in_their_order(stores: Stores) -> None:
    done = [
        Effect(7, 1, Act.MERGED_INTO, 2),
        Effect(7, 2, Act.MERGED_FROM, 1),
        Effect(9, 2, Act.DELETED),
        Effect(8, 3, Act.LINKED, 2),
    ]
    with stores.database.begin() as connection:
        effects.write(connection, done)
        effects.write(connection, [])
    with stores.database.read() as connection:
        assert effects.effects_on(connection, [1, 2]) == done[:3]
        assert effects.effects_on(connection, [3]) == done[3:]

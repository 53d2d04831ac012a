"""Records in their rows, on both databases: found, opened, changed, shared by two daemons; and nobody in clear."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from sqlalchemy import select, text, update

from patient_records import tables
from patient_records.errors import KeyFault, SealBroken, StorageConflict
from patient_records.keys import KeyRing
from patient_records.model import (
    EMAIL,
    MOBILE,
    Address,
    BirthDate,
    ContactPoint,
    Death,
    DeathReport,
    Demographics,
    Identifier,
    PersonName,
    Standing,
)
from patient_records.repository import OpenRecord, StoredRecord
from tests.contract.conftest import NOW, RX1, Stores
from tests.support.patience import eventually

NHS = Identifier("NHS", "NH", "9434765919")
CANARIES = ("CANARYOLSEN", "CANARYGIVEN", "19551111", "+447700900555", "canary@example.org", "9434765919", "CANARYLANE")
OLSEN = Demographics(
    identifiers=(NHS, Identifier("RX1", "MR", "CANARYOLSEN1", RX1)),
    aliases=(Identifier("RX1", "MR", "CANARYOLSEN0", RX1),),
    names=(PersonName("CANARYOLSEN", "CANARYGIVEN", use="L"),),
    birth=BirthDate("19551111"),
    sex="F",
    addresses=(Address(("1 CANARYLANE",), "CANARYTOWN", postcode="CANARY1"),),
    home=(ContactPoint(MOBILE, "+447700900555"), ContactPoint(EMAIL, "canary@example.org")),
    death=Death((DeathReport("PAS", 7, "19991111"),)),
    sender="PAS",
    last_event_at=5,
)


def somebody(number: int, **given: object) -> Demographics:
    """A person with one local number."""
    plain = Demographics(identifiers=(local(number),), names=(PersonName(f"Family{number}", "Given"),))
    return replace(plain, **given)


def local(number: int) -> Identifier:
    return Identifier("RX1", "MR", str(number), RX1)


def new(stores: Stores, *people: Demographics) -> list[OpenRecord]:
    return stores.save(*((None, stores.records.make(RX1, person, NOW)) for person in people))


def found(stores: Stores, identifier: Identifier) -> int | None:
    with stores.database.read() as connection:
        return stores.records.find_one(connection, identifier)


def reached(stores: Stores, point: ContactPoint) -> set[int]:
    table = tables.contact_points
    statement = select(table.c.record_id).where(table.c.blind == stores.records.blind_index.contact(point))
    with stores.database.read() as connection:
        return set(connection.scalars(statement))


@pytest.fixture
def other(stores: Stores) -> Iterator[Stores]:
    """A second daemon on the same database."""
    made = stores.beside()
    yield made
    made.database.close()


def test_a_saved_record_comes_back_as_it_was(stores: Stores) -> None:
    made = stores.records.make(RX1, OLSEN, NOW)
    assert made.record.version == 0
    (saved,) = stores.save((None, made))
    loaded = stores.load(made.record.id)
    assert loaded.record == saved.record
    assert loaded.record.demographics == OLSEN
    assert (loaded.record.version, loaded.record.public_id) == (1, made.record.public_id)
    assert loaded.created_at == NOW
    assert loaded.key.raw == made.key.raw


def test_every_identifier_finds_the_person_aliases_too(stores: Stores) -> None:
    (saved,) = new(stores, OLSEN)
    for identifier in OLSEN.identifiers + OLSEN.aliases:
        assert found(stores, identifier) == saved.record.id
    assert found(stores, local(1)) is None


def test_a_local_number_finds_nobody_of_another_organisation(stores: Stores) -> None:
    new(stores, somebody(1))
    assert found(stores, replace(local(1), organisation="RX2")) is None


def test_many_are_asked_for_at_once_and_the_unknown_left_out(stores: Stores) -> None:
    saved = new(stores, *map(somebody, range(1200)))
    index = stores.records.blind_index
    with stores.database.read() as connection:
        blinds = [index.identifier(local(number)) for number in range(1500)]
        ids = stores.records.find(connection, blinds)
        loaded = stores.records.load(connection, {*ids.values(), 42})
        assert stores.records.find(connection, []) == {}
        assert stores.records.load(connection, []) == {}
    assert ids == {blinds[number]: one.record.id for number, one in enumerate(saved)}
    assert {id_: one.record for id_, one in loaded.items()} == {one.record.id: one.record for one in saved}
    assert list(loaded) == sorted(loaded)  # the order in which daemons lock


def test_a_change_counts_the_version_up_and_keeps_who_and_since_when(stores: Stores) -> None:
    (before,) = new(stores, OLSEN)
    at = datetime(2026, 5, 6, tzinfo=UTC)
    standing = Standing(
        registered_at=at, deleted_at=at, merged_into=7, hold="by hand", exclusion="rule", opted_out_at=at
    )
    changed = before.changed(replace(OLSEN, sex="M"), standing)
    stores.save((before, changed))
    after = stores.load(before.record.id)
    assert (after.record.version, after.record.demographics.sex, after.record.standing) == (2, "M", standing)
    assert (after.record.public_id, after.record.organisation) == (before.record.public_id, RX1)
    assert (after.created_at, after.key.raw) == (NOW, before.key.raw)


def test_a_replaced_identifier_goes_on_finding(stores: Stores) -> None:
    (before,) = new(stores, somebody(1))
    stores.save((before, before.changed(somebody(2, aliases=(local(1),)), Standing())))
    assert found(stores, local(1)) == found(stores, local(2)) == before.record.id


def test_contacts_are_indexed_as_they_come_and_go_and_may_be_shared(stores: Stores) -> None:
    phone, email = ContactPoint(MOBILE, "+447700900001"), ContactPoint(EMAIL, "a@example.org")
    one, two = new(stores, somebody(1, home=(phone, email)), somebody(2, work=(phone,)))
    ids = {one.record.id, two.record.id}
    assert reached(stores, phone) == ids
    assert reached(stores, ContactPoint(EMAIL, "A@Example.ORG", "WRK")) == {one.record.id}
    stores.save((one, one.changed(somebody(1, work=(email,)), Standing())))
    assert reached(stores, phone) == {two.record.id}
    assert reached(stores, email) == {one.record.id}


def test_an_identifier_that_one_record_gives_up_another_may_take_in_the_same_save(stores: Stores) -> None:
    one, two = new(stores, somebody(1), somebody(2))
    taken = replace(two.record.demographics, aliases=(local(1),))
    stores.save(
        (two, two.changed(taken, Standing())), (one, one.changed(replace(somebody(1), identifiers=()), Standing()))
    )
    assert found(stores, local(1)) == found(stores, local(2)) == two.record.id


def test_two_transactions_that_make_the_same_person_are_a_conflict_for_one(stores: Stores, other: Stores) -> None:
    theirs = other.records.make(RX1, somebody(1, home=OLSEN.home), NOW)
    with ThreadPoolExecutor(1) as pool:
        with stores.database.begin() as connection:
            (mine,) = stores.records.save(connection, [(None, stores.records.make(RX1, somebody(1), NOW))], NOW)
            second = pool.submit(other.save, (None, theirs))
        with pytest.raises(StorageConflict):
            second.result()
    assert found(stores, local(1)) == mine.record.id
    with stores.database.read() as connection:
        assert stores.records.load(connection, [theirs.record.id]) == {}
    assert reached(stores, OLSEN.home[0]) == set()


def waiting(stores: Stores) -> bool:
    """Whether a connection to this PostgreSQL database waits for a lock."""
    question = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with stores.database.read() as connection:
        return bool(connection.scalar(text(question)))


def test_a_locked_record_is_waited_for_and_then_read_as_it_became(stores: Stores, other: Stores) -> None:
    (before,) = new(stores, somebody(1))
    record_id = before.record.id

    def lock_and_read() -> int:
        with other.database.begin() as connection:
            return other.records.load(connection, [record_id], lock=True)[record_id].record.version

    with ThreadPoolExecutor(1) as pool:
        with stores.database.begin() as connection:
            mine = stores.records.load(connection, [record_id], lock=True)[record_id]
            second = pool.submit(lock_and_read)
            if stores.database.dialect == "postgresql":  # on SQLite the transaction itself is the lock
                eventually(lambda: second.done() or waiting(stores), "the other to wait")
            stores.records.save(connection, [(mine, mine.changed(somebody(1, sex="F"), Standing()))], NOW)
        assert second.result() == 2


def test_a_reader_does_not_wait_for_a_locked_record(stores: Stores, other: Stores) -> None:
    (before,) = new(stores, somebody(1))
    with stores.database.begin() as connection:
        stores.records.load(connection, [before.record.id], lock=True)
        assert other.load(before.record.id).record == before.record


def test_only_free_records_are_taken_where_rows_are_locked(stores: Stores, other: Stores) -> None:
    ids = [one.record.id for one in new(stores, somebody(1), somebody(2))]
    with stores.database.begin() as connection:
        stores.records.load(connection, ids[:1], lock=True)
        if stores.database.dialect == "postgresql":
            with other.database.begin() as theirs:
                assert list(other.records.load_free(theirs, ids)) == ids[1:]
    with other.database.begin() as theirs:
        assert list(other.records.load_free(theirs, ids)) == ids


def cells(stores: Stores, record_id: int) -> dict[str, object]:
    table = tables.patient_records
    with stores.database.read() as connection:
        return dict(connection.execute(select(table).where(table.c.id == record_id)).mappings().one())


def put(stores: Stores, record_id: int, **values: object) -> None:
    table = tables.patient_records
    with stores.database.begin() as connection:
        connection.execute(update(table).where(table.c.id == record_id).values(**values))


def test_a_row_cannot_be_given_another_ones_content(stores: Stores) -> None:
    one, two = (opened.record.id for opened in new(stores, somebody(1), somebody(2)))
    stolen = cells(stores, two)
    for names in (["sealed"], ["wrapped_key"], ["sealed", "wrapped_key"]):
        own = cells(stores, one)
        put(stores, one, **{name: stolen[name] for name in names})
        with pytest.raises(SealBroken):
            stores.load(one)
        put(stores, one, **{name: own[name] for name in names})
    assert stores.load(one).record.demographics == somebody(1)


def test_an_old_version_cannot_be_put_back(stores: Stores) -> None:
    (before,) = new(stores, somebody(1))
    old = cells(stores, before.record.id)
    stores.save((before, before.changed(somebody(1, sex="F"), Standing())))
    put(stores, before.record.id, sealed=old["sealed"])
    with pytest.raises(SealBroken):
        stores.load(before.record.id)


def test_without_the_organisations_key_nobody_is_opened(stores: Stores) -> None:
    (saved,) = new(stores, OLSEN)
    keyless = Stores.on(stores.url, KeyRing([], {}).completed(["RX9"]))
    with pytest.raises(KeyFault, match="RX1"):
        keyless.load(saved.record.id)
    keyless.database.close()


def test_no_cell_of_the_database_holds_anything_of_the_person(stores: Stores) -> None:
    (before,) = new(stores, OLSEN)
    stores.save((before, before.changed(replace(OLSEN, sex="M"), Standing())))
    with stores.database.read() as connection:
        rows = [row for table in tables.metadata.tables.values() for row in connection.execute(select(table))]
    told = b"|".join(cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row)
    assert len(rows) >= 6
    for canary in CANARIES:
        assert canary.encode() not in told


def test_kinds_of_identifier_are_noted_once(stores: Stores, other: Stores) -> None:
    new(stores, OLSEN, somebody(3))
    stores.save()
    new(other, somebody(4))
    with stores.database.read() as connection:
        assert sorted(stores.records.kinds.all(connection)) == [("", "NHS", "NH"), (RX1, "RX1", "MR")]


def test_a_rolled_back_kind_is_noted_later(stores: Stores) -> None:
    with pytest.raises(ZeroDivisionError), stores.database.begin() as connection:  # noqa: PT012 (the block is the subject)
        stores.records.save(connection, [(None, stores.records.make(RX1, somebody(1), NOW))], NOW)
        raise ZeroDivisionError
    new(stores, somebody(1))
    with stores.database.read() as connection:
        assert len(connection.execute(select(tables.identifier_kinds)).all()) == 1


def test_a_stored_record_names_the_columns_in_their_order() -> None:
    assert StoredRecord._fields == tuple(column.name for column in tables.patient_records.columns)


def test_an_id_that_is_taken_is_a_conflict_and_never_somebody_else_s_row(stores: Stores, other: Stores) -> None:
    [first] = new(stores, somebody(1))
    stranger = other.records.make(RX1, somebody(2), NOW)
    clash = replace(stranger, record=replace(stranger.record, id=first.record.id))
    with pytest.raises(StorageConflict):
        stores.save((None, clash))
    assert stores.load(first.record.id).record.demographics == somebody(1)
    with stores.database.read() as connection:
        assert stores.records.find_one(connection, local(2)) is None


def test_a_record_that_opens_to_something_else_is_a_broken_seal(stores: Stores) -> None:
    [made] = new(stores, somebody(1))
    id_, version = made.record.id, made.record.version
    sealed = made.key.seal(b'{"names":"no list"}', "patient_records", id_, version)
    with stores.database.begin() as connection:
        connection.execute(update(tables.patient_records).values(sealed=sealed))
    with pytest.raises(SealBroken):
        stores.load(id_)


def test_a_record_key_is_wrapped_once_while_its_organisation_key_stays(stores: Stores) -> None:
    [made] = new(stores, somebody(1))
    stores.save((made, made.changed(somebody(1, sex="F"), made.record.standing)))
    first = stores.load(made.record.id)
    stores.save((first, first.changed(somebody(1, sex="M"), first.record.standing)))
    assert stores.load(made.record.id).wrapped_key == first.wrapped_key


def test_kinds_of_identifier_are_known_and_lie_sealed(stores: Stores, other: Stores) -> None:
    sloppy = Identifier("CANARYOLSEN ADA", "19551111", "7", RX1)
    new(stores, somebody(1, identifiers=(NHS, sloppy)))
    for process in (stores, other):
        with process.database.read() as connection:
            assert set(process.records.kinds.all(connection)) == {NHS.kind, sloppy.kind}
            rows = connection.execute(select(tables.identifier_kinds)).all()
        assert not any(b"CANARY" in bytes(value) for row in rows for value in (row.blind, row.sealed))
    new(stores, somebody(2, identifiers=(Identifier("B", "MR", "8", RX1),)))
    with stores.database.read() as connection:
        assert len(stores.records.kinds.all(connection)) == 3

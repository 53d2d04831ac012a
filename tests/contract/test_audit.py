"""The audit trail: written with what it tells of, and nothing is changed, invented or taken away unseen."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, func, select, update

from daemon.audit_sealing import FILE_NAME, AuditSealing, parse_head, read_head, write_head
from patient_records import audit_seals, tables
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import DETAILS, Action, ActorKind
from patient_records.audit_seals import AuditReport, Head
from patient_records.instants import to_micros
from tests.contract.conftest import NOW, Stores

ANNA = Actor(ActorKind.COORDINATOR, "7")
ENTRIES = tables.audit_entries
SEALS = tables.audit_seals


def entry(action: Action = Action.RECORD_VIEWED, record_id: int | None = 1, **detail: str | int) -> AuditEntry:
    return AuditEntry(ANNA, action, "RX1", record_id, detail)


@pytest.fixture
def trail(stores: Stores) -> AuditTrail:
    return AuditTrail(stores.ring, stores.ids)


@pytest.fixture
def sealing(stores: Stores, trail: AuditTrail, tmp_path: Path) -> AuditSealing:
    return AuditSealing(stores.database, trail, tmp_path)


@pytest.fixture
def sealed(stores: Stores, trail: AuditTrail, sealing: AuditSealing) -> None:
    """Three seals with two entries each."""
    for _ in range(3):
        write(stores, trail, entry(), entry(Action.PAIR_ISSUED, pair=5))
        assert sealing().sealed == 2


def write(stores: Stores, trail: AuditTrail, *entries: AuditEntry) -> None:
    with stores.database.begin() as connection:
        trail.append(connection, entries, NOW)


def verified(stores: Stores, trail: AuditTrail, *heads: Head) -> AuditReport:
    with stores.database.read() as connection:
        return audit_seals.verify(connection, trail.key, heads)


def codes(report: AuditReport) -> set[str]:
    return {fault.code for fault in report.faults}


def change(stores: Stores, statement: object) -> None:
    with stores.database.begin() as connection:
        assert connection.execute(statement).rowcount > 0  # type: ignore[call-overload]


def ids(stores: Stores) -> list[int]:
    with stores.database.read() as connection:
        return list(connection.scalars(select(ENTRIES.c.id).order_by(ENTRIES.c.id)))


def test_what_was_written_is_read_newest_first(stores: Stores, trail: AuditTrail) -> None:
    write(stores, trail, entry(), entry(Action.RECORD_HELD, reason="safeguarding"), entry(record_id=2))
    with stores.database.read() as connection:
        found = trail.entries(connection, limit=10, record_id=1)
        older = trail.entries(connection, limit=10, record_id=1, before=found[0].id)
        held = trail.entries(connection, limit=10, action=Action.RECORD_HELD, actor=ANNA, organisation="RX1")
        nothing = trail.entries(connection, limit=10, organisation="RX2")
    assert [(one.action, one.detail) for one in found] == [
        ("record_held", {"reason": "safeguarding"}),
        ("record_viewed", {}),
    ]
    assert (found[0].at, found[0].actor, found[0].organisation) == (NOW, ANNA, "RX1")
    assert older == found[1:]
    assert held == found[:1]
    assert nothing == []


def test_an_entry_lives_and_dies_with_its_transaction(stores: Stores, trail: AuditTrail) -> None:
    class Undone(Exception):
        pass

    def write_and_fail() -> None:
        with stores.database.begin() as connection:
            trail.append(connection, [entry()], NOW)
            raise Undone

    with pytest.raises(Undone):
        write_and_fail()
    assert ids(stores) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nhs_number", "9990000018"),
        ("reason", "9990000018"),
        ("reason", "Mrs Lovelace rang"),
        ("reason", 9990000018),
        ("pair", "BCDFG23456"),
        ("count", True),
        ("client", "a@example.org"),
    ],
)
def test_nothing_that_could_be_a_person_gets_in(stores: Stores, trail: AuditTrail, name: str, value: str | int) -> None:
    with pytest.raises(ValueError, match=r"may not tell this") as raised:
        write(stores, trail, AuditEntry(ANNA, Action.RECORD_VIEWED, "RX1", 1, {name: value}))
    assert str(value) not in str(raised.value)
    assert ids(stores) == []


def test_no_detail_takes_free_text() -> None:
    assert not [name for name, accepts in DETAILS.items() if accepts("two words") or accepts("07700900123")]


def test_views_of_a_record_are_told_without_names(stores: Stores, trail: AuditTrail) -> None:
    write(stores, trail, entry(), entry(Action.PAIR_ISSUED, pair=5), entry(record_id=2))
    with stores.database.begin() as connection:
        trail.append(connection, [entry()], NOW + timedelta(hours=1))
    with stores.database.read() as connection:
        views = trail.views(connection, 1, limit=10)
        first = trail.views(connection, 1, limit=10, before=NOW + timedelta(hours=1))
    assert [(view.at, view.organisation, view.role) for view in views] == [
        (NOW + timedelta(hours=1), "RX1", ActorKind.COORDINATOR),
        (NOW, "RX1", ActorKind.COORDINATOR),
    ]
    assert first == views[1:]


@pytest.mark.usefixtures("sealed")
def test_a_whole_trail_holds(stores: Stores, trail: AuditTrail, tmp_path: Path) -> None:
    write(stores, trail, entry())
    kept = read_head(tmp_path / FILE_NAME)
    assert kept is not None
    report = verified(stores, trail, kept)
    assert (report.faults, report.entries, report.seals, report.unsealed) == ([], 7, 3, 1)
    assert report.head == kept == parse_head(f"3:{kept.hash}")


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", to_micros(NOW) + 1),
        ("actor_kind", "patient"),
        ("actor_id", "8"),
        ("action", "record_held"),
        ("organisation", "RX2"),
        ("record_id", 99),
        ("record_id", None),
        ("detail", '{"reason":"x"}'),
        ("authentication", bytes(32)),
    ],
)
def test_a_changed_entry_shows(stores: Stores, trail: AuditTrail, column: str, value: object) -> None:
    change(stores, update(ENTRIES).where(ENTRIES.c.id == ids(stores)[0]).values({column: value}))
    assert "entry_changed" in codes(verified(stores, trail))


def test_a_changed_entry_shows_before_it_is_sealed(stores: Stores, trail: AuditTrail) -> None:
    write(stores, trail, entry())
    assert codes(verified(stores, trail)) == set()
    change(stores, update(ENTRIES).values(record_id=2))
    assert codes(verified(stores, trail)) == {"entry_changed"}


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("position", range(6))
def test_a_sealed_entry_that_is_gone_shows(stores: Stores, trail: AuditTrail, position: int) -> None:
    change(stores, delete(ENTRIES).where(ENTRIES.c.id == ids(stores)[position]))
    assert codes(verified(stores, trail)) == {"entries_missing"}


@pytest.mark.usefixtures("sealed")
def test_an_entry_taken_out_from_under_its_seal_shows(stores: Stores, trail: AuditTrail) -> None:
    change(stores, update(ENTRIES).where(ENTRIES.c.id == ids(stores)[0]).values(seal=None))
    assert codes(verified(stores, trail)) == {"entries_missing"}


@pytest.mark.usefixtures("sealed")
def test_entries_that_change_their_seals_show(stores: Stores, trail: AuditTrail) -> None:
    first, _, third = ids(stores)[:3]
    change(stores, update(ENTRIES).where(ENTRIES.c.id == first).values(seal=2))
    change(stores, update(ENTRIES).where(ENTRIES.c.id == third).values(seal=1))
    assert codes(verified(stores, trail)) == {"seal_broken"}


@pytest.mark.usefixtures("sealed")
def test_an_entry_of_another_key_shows(stores: Stores, trail: AuditTrail) -> None:
    other = AuditTrail(type(stores.ring)([], {}).completed(["RX1"]), stores.ids)
    write(stores, other, entry())
    assert codes(verified(stores, trail)) == {"entry_changed"}


@pytest.mark.usefixtures("sealed")
@pytest.mark.parametrize("number", [1, 2])
def test_a_seal_that_is_gone_with_its_entries_shows(stores: Stores, trail: AuditTrail, number: int) -> None:
    change(stores, delete(ENTRIES).where(ENTRIES.c.seal == number))
    change(stores, delete(SEALS).where(SEALS.c.number == number))
    assert {"seal_missing", "seal_broken"} <= codes(verified(stores, trail))


@pytest.mark.usefixtures("sealed")
def test_a_cut_off_end_shows_to_whoever_kept_a_head(stores: Stores, trail: AuditTrail, tmp_path: Path) -> None:
    kept = read_head(tmp_path / FILE_NAME)
    assert kept is not None
    change(stores, delete(ENTRIES).where(ENTRIES.c.seal == 3))
    change(stores, delete(SEALS).where(SEALS.c.number == 3))
    assert codes(verified(stores, trail)) == set(), "the trail is whole in itself: that is what a head is for"
    assert codes(verified(stores, trail, kept)) == {"head_missing"}


@pytest.mark.usefixtures("sealed")
def test_a_lost_head_stays_where_it_was_kept(
    stores: Stores, trail: AuditTrail, sealing: AuditSealing, tmp_path: Path
) -> None:
    kept = read_head(tmp_path / FILE_NAME)
    assert kept is not None
    change(stores, delete(ENTRIES).where(ENTRIES.c.seal == 3))
    change(stores, delete(SEALS).where(SEALS.c.number == 3))
    write(stores, trail, entry())
    report = sealing()
    assert (report.sealed, report.whole) == (1, False)
    assert read_head(tmp_path / FILE_NAME) == kept, "the evidence was written over"
    assert codes(verified(stores, trail, kept)) == {"head_missing"}


def test_a_daemon_without_a_head_begins_one(stores: Stores, trail: AuditTrail, sealing: AuditSealing) -> None:
    assert sealing().sealed == 0
    write(stores, trail, entry())
    assert sealing().sealed == 1
    assert sealing().sealed == 0


def test_a_head_of_somebody_else_is_a_fault(stores: Stores, trail: AuditTrail, tmp_path: Path) -> None:
    write_head(tmp_path / FILE_NAME, Head(1, "0" * 64))
    assert codes(verified(stores, trail, Head(1, "0" * 64))) == {"head_missing"}
    (tmp_path / FILE_NAME).write_text("not a head")
    with pytest.raises(ValueError, match="not a head of the audit trail"):
        read_head(tmp_path / FILE_NAME)
    with pytest.raises(ValueError, match="as doorstep audit verify prints it"):
        parse_head("12")


def test_large_trails_are_sealed_in_pieces(stores: Stores, trail: AuditTrail, sealing: AuditSealing) -> None:
    write(stores, trail, *[entry() for _ in range(audit_seals.LARGEST_SEAL + 3)])
    heard: list[int] = []
    assert sealing().sealed == audit_seals.LARGEST_SEAL + 3
    with stores.database.read() as connection:
        report = audit_seals.verify(connection, trail.key, progress=heard.append)
    assert (report.faults, report.seals, report.unsealed) == ([], 2, 0)
    assert heard == [2000, 4000]


def test_daemons_side_by_side_write_and_seal_one_chain(stores: Stores, trail: AuditTrail, tmp_path: Path) -> None:
    """Writers never wait for a seal; two that seal at once make one chain; what is undone leaves no gap."""
    others = [stores.beside() for _ in range(2)]
    errors: list[BaseException] = []

    def work(number: int, other: Stores) -> None:
        mine = AuditTrail(other.ring, other.ids)
        seal = AuditSealing(other.database, mine, tmp_path / str(number))
        (tmp_path / str(number)).mkdir()
        try:
            for turn in range(20):
                with other.database.begin() as connection:
                    mine.append(connection, [entry(count=turn), entry()], NOW)
                    if turn % 5 == 4:
                        connection.rollback()
                if turn % 3 == 0:
                    seal()
            seal()
        except BaseException as error:  # noqa: BLE001 (told to the test)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number, other)) for number, other in enumerate(others)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.database.close()
    assert errors == []
    AuditSealing(stores.database, trail, tmp_path)()
    kept = [read_head(tmp_path / str(number) / FILE_NAME) for number in range(2)]
    report = verified(stores, trail, *[head for head in kept if head])
    assert (report.faults, report.entries, report.unsealed) == ([], 64, 0)
    with stores.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(SEALS)) == report.seals

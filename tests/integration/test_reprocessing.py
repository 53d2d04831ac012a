"""Stored messages applied after all: resubmitted from quarantine, replayed, and rows of a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from sqlalchemy import Connection, func, select

from hl7_listener.arrival import Settled
from hl7_listener.batch import Batch
from hl7_listener.csv_file import survey
from hl7_listener.csv_import import LISTENER, CsvImport, CsvReport
from hl7_listener.csv_rows import DateForm, Rows
from hl7_listener.mending import MendFault, parse_mend
from hl7_listener.options import ListenerOptions
from hl7_listener.replay import PASSED_OVER, Difference
from hl7_listener.reprocessing import Reprocessed
from hl7_listener.resubmission import NoListener, NotWaiting
from patient_records import tables
from patient_records.errors import SealBroken
from tests.support.desk import NO_GIVEN_NAME, Desk, held_until_now
from tests.support.row_counts import row_counts


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    made = Desk(database_url)
    yield made
    made.database.close()


def test_a_mended_message_is_applied_and_both_versions_are_kept(desk: Desk) -> None:
    refused = desk.receive(NO_GIVEN_NAME)
    result = desk.curator.resubmit(refused.journal_id, [parse_mend("PID.5.2=Una")], note="asked the desk")
    assert (result.accepted, result.outcome, result.changes) == (True, "applied", ("created",))
    assert desk.waiting() == []
    entry, raw, note = desk.curator.show(refused.journal_id)
    assert (entry.state, raw, note) == ("resubmitted", NO_GIVEN_NAME, "asked the desk")
    with desk.database.read() as connection:
        row = connection.execute(select(tables.journal).where(tables.journal.c.replay_of == refused.journal_id)).one()
        key = desk.records.load(connection, [row.record_id])[row.record_id].key
        assert desk.journal.raw(connection, row.id, key) == NO_GIVEN_NAME.replace(b"Archer^", b"Archer^Una")
    assert (row.answer, row.outcome) == ("", "applied")
    assert desk.actions() == ["quarantine_resubmitted", "quarantine_shown"]


def test_what_is_refused_again_goes_on_waiting_and_leaves_no_entry(desk: Desk) -> None:
    refused = desk.receive(NO_GIVEN_NAME)
    before = desk.entries()
    result = desk.curator.resubmit(refused.journal_id, [parse_mend("PID.7=19800101")])
    assert (result.accepted, result.outcome) == (False, "rejected")
    assert [entry.id for entry in desk.waiting()] == [refused.journal_id]
    assert desk.entries() == before
    assert desk.actions() == []


def test_nobody_resubmits_or_discards_twice(desk: Desk) -> None:
    first, second = desk.receive(NO_GIVEN_NAME), desk.receive(NO_GIVEN_NAME.replace(b"|1|P", b"|2|P"))
    desk.curator.resubmit(first.journal_id, [parse_mend("PID.5.2=Una")])
    desk.curator.discard(second.journal_id, "a test")
    for journal_id in (first.journal_id, second.journal_id):
        with pytest.raises(NotWaiting, match="waits no more"):
            desk.curator.resubmit(journal_id, [])
        with pytest.raises(NotWaiting, match="waits no more"):
            desk.curator.discard(journal_id, "")
    with pytest.raises(NotWaiting, match="not in quarantine"):
        desk.curator.show(1)
    assert desk.actions() == ["quarantine_resubmitted", "quarantine_discarded"]


def test_whoever_decides_in_between_wins_and_the_message_is_not_applied(desk: Desk) -> None:
    """Between reading the entry and settling it, somebody else discards it: then nothing of it counts."""
    refused = desk.receive(NO_GIVEN_NAME)
    settle = desk.reprocessing.settle

    def late(*arguments: object) -> object:
        desk.curator.discard(refused.journal_id, "somebody else")
        return settle(*arguments)  # type: ignore[arg-type]

    desk.reprocessing.settle = late  # type: ignore[assignment,method-assign]
    with pytest.raises(NotWaiting, match="somebody else"):
        desk.curator.resubmit(refused.journal_id, [parse_mend("PID.5.2=Una")])
    with desk.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.patient_records)) == 0


def test_a_mend_or_a_listener_that_does_not_exist_changes_nothing(desk: Desk) -> None:
    refused = desk.receive(NO_GIVEN_NAME)
    with pytest.raises(MendFault):
        desk.curator.resubmit(refused.journal_id, [parse_mend("PV1.2=N")])
    with pytest.raises(NoListener):
        desk.curator.resubmit(refused.journal_id, [], listener="gone")
    assert [entry.id for entry in desk.waiting()] == [refused.journal_id]


def ignored_yesterday(desk: Desk) -> Settled:
    """Leave an A28 in the journal as a version that did not know it would have: ignored."""
    settled = desk.receive(NO_GIVEN_NAME.replace(b"Archer^", b"Archer^Una").replace(b"A28", b"A98"))
    raw = NO_GIVEN_NAME.replace(b"Archer^", b"Archer^Una")
    with desk.database.begin() as connection:
        key = connection.scalar(select(tables.journal.c.key_id).where(tables.journal.c.id == settled.journal_id))
        ring_key = desk.journal._ring.sealing_key(str(key)).derived("journal", settled.journal_id)
        sealed = ring_key.seal(raw, "journal", settled.journal_id)
        statement = tables.journal.update().where(tables.journal.c.id == settled.journal_id)
        connection.execute(statement.values(sealed=sealed))
    assert str(settled.outcome) == "ignored"
    return settled


def test_a_rehearsal_shows_what_would_differ_and_changes_nothing(desk: Desk) -> None:
    ignored_yesterday(desk)
    before, shown = desk.entries(), list[Difference]()
    report = desk.replay.rehearse(since=None, statuses=PASSED_OVER, show=shown.append)
    assert (report.messages, report.outcomes, report.changed) == (1, {"applied": 1}, 1)
    assert [(one.before, one.fields) for one in shown] == [(None, ("created",))]
    assert desk.entries() == before
    with desk.database.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.patient_records)) == 0


def test_a_rehearsed_merge_shows_who_would_go(desk: Desk) -> None:
    una = NO_GIVEN_NAME.replace(b"Archer^", b"Archer^Una")
    desk.receive(una)
    desk.receive(una.replace(b"9990000018", b"9990000026").replace(b"|1|P", b"|2|P"))
    merge = una.replace(b"A28^ADT_A05", b"A40^ADT_A39").replace(b"|A28|", b"|A40|").replace(b"|1|P", b"|3|P")
    merge += b"MRG|9990000026^^^NHS^NH\r"
    refused = desk.receive(merge.replace(b"|P|", b"|X|"))
    assert str(refused.outcome) == "rejected"
    desk.listeners["pas"] = replace(desk.listeners["pas"], processing_ids=("P", "X"))
    shown: list[Difference] = []
    desk.replay.rehearse(since=None, statuses=("rejected",), show=shown.append)
    assert ["merged_into" in one.fields for one in shown] == [True]


def test_a_replay_does_it_once_however_often_it_is_run(desk: Desk) -> None:
    ignored = ignored_yesterday(desk)
    heard: list[int] = []

    def also(_connection: Connection, settled: object) -> None:
        heard.append(len(settled))  # type: ignore[arg-type]

    report = desk.replay.run(since=None, statuses=PASSED_OVER, also=also)
    assert (report.outcomes, report.changed, heard) == ({"applied": 1}, 1, [1])
    assert desk.replay.run(since=None, statuses=PASSED_OVER).messages == 0
    with desk.database.read() as connection:
        row = connection.execute(select(tables.journal).where(tables.journal.c.replay_of == ignored.journal_id)).one()
    assert desk.family(row.record_id) == "Archer, Una"


def test_an_old_statement_that_is_replayed_overrules_nothing(desk: Desk) -> None:
    ignored_yesterday(desk)
    newer = NO_GIVEN_NAME.replace(b"Archer^", b"Bowman^Una").replace(b"|1|P", b"|2|P").replace(b"0301120", b"0401120")
    record_id = desk.receive(newer).record_id
    assert record_id is not None
    assert desk.replay.run(since=None, statuses=PASSED_OVER).outcomes == {"stale": 1}
    assert desk.family(record_id) == "Bowman, Una"


def test_what_comes_to_nothing_again_leaves_no_second_entry_and_can_be_replayed_later(desk: Desk) -> None:
    desk.receive(NO_GIVEN_NAME.replace(b"A28", b"A98"))
    desk.receive(NO_GIVEN_NAME)
    before = desk.entries()
    report = desk.replay.run(since=None, statuses=PASSED_OVER)
    assert report.outcomes == {"ignored": 1, "rejected": 1}
    assert desk.entries() == before
    assert desk.replay.count(since=None, statuses=PASSED_OVER) == 2


def test_a_replay_leaves_alone_what_somebody_discarded(desk: Desk) -> None:
    held = held_until_now(desk)
    desk.curator.discard(held.journal_id, "of another hospital")
    assert desk.replay.run(since=None, statuses=PASSED_OVER).messages == 0


def test_what_waited_and_is_replayed_waits_no_more(desk: Desk) -> None:
    held = held_until_now(desk)
    assert desk.replay.run(since=None, statuses=PASSED_OVER).outcomes == {"applied": 1}
    assert desk.waiting() == []
    with pytest.raises(NotWaiting):
        desk.curator.resubmit(held.journal_id, [])


def test_a_message_that_does_not_open_keeps_no_other_from_being_replayed(desk: Desk) -> None:
    broken = desk.receive(NO_GIVEN_NAME)
    held_until_now(desk)
    with desk.database.begin() as connection:
        statement = tables.journal.update().where(tables.journal.c.id == broken.journal_id)
        connection.execute(statement.values(sealed=b"x" * 64))
    assert desk.replay.run(since=None, statuses=PASSED_OVER).outcomes == {"failed": 1, "applied": 1}


@pytest.mark.parametrize("way", ["replay", "resubmit"])
def test_a_row_of_another_organisation_stays_that_ones(desk: Desk, way: str) -> None:
    """Spreadsheets of all organisations come by one name."""
    held = held_until_now(desk, listener=LISTENER, organisation="RX2")
    desk.listeners[LISTENER] = replace(desk.listeners[LISTENER], organisation="RX1")
    if way == "replay":
        desk.replay.run(since=None, statuses=PASSED_OVER)
    else:
        desk.curator.resubmit(held.journal_id, [])
    with desk.database.read() as connection:
        assert connection.scalars(select(tables.patient_records.c.organisation)).all() == ["RX2"]


def test_a_message_without_a_time_of_its_own_is_as_old_as_its_receipt(desk: Desk) -> None:
    untimed = NO_GIVEN_NAME.replace(b"20260301120000", b"").replace(b"Archer^", b"Archer^Una")
    longer_ago = datetime(2020, 1, 1, tzinfo=UTC)
    record_id = desk.receive(NO_GIVEN_NAME.replace(b"Archer^", b"Bowman^Una")).record_id
    [settled] = desk.reprocessing.settle([Reprocessed(desk.listeners["pas"], untimed, longer_ago, replay_of=1)])
    assert settled is not None
    assert isinstance(settled, Settled)
    assert str(settled.outcome) == "stale"
    assert record_id is not None
    assert desk.family(record_id) == "Bowman, Una"


def test_a_replay_since_a_time_leaves_what_came_before(desk: Desk) -> None:
    ignored_yesterday(desk)
    assert desk.replay.count(since=datetime(2100, 1, 1, tzinfo=UTC), statuses=PASSED_OVER) == 0
    assert desk.replay.count(since=datetime(2000, 1, 1, tzinfo=UTC), statuses=PASSED_OVER) == 1


def test_one_message_that_fails_keeps_no_other_from_being_settled(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    good = NO_GIVEN_NAME.replace(b"Archer^", b"Archer^Una")
    bad = good.replace(b"9990000018", b"9990000026").replace(b"Una", b"Trouble")
    real = Batch.settle

    def settle(self: Batch, arrivals: list[object]) -> list[Settled]:
        if any(b"Trouble" in arrival.raw for arrival in arrivals):  # type: ignore[attr-defined]
            raise SealBroken("patient_records")
        return real(self, arrivals)  # type: ignore[arg-type]

    monkeypatch.setattr(Batch, "settle", settle)
    messages = [Reprocessed(desk.listeners["pas"], raw, datetime.now(UTC)) for raw in (bad, good)]
    settled = desk.reprocessing.settle(messages)
    assert [str(getattr(one, "outcome", one)) for one in settled] == ["failed", "applied"]


# ---- spreadsheets ----------------------------------------------------------------------------------------------------


def import_rows(desk: Desk, path: Path, *, as_of: datetime = datetime(2026, 3, 1, tzinfo=UTC)) -> CsvReport:
    found = survey(path)
    listeners = {code: ListenerOptions(LISTENER, "", 0, code, ZoneInfo("Europe/London")) for code in ("RX1", "RX2")}
    rows = Rows(frozenset(listeners), "RX1", found.dates, as_of)
    return CsvImport(desk.reprocessing, listeners).run(path, found, rows)


SHEET = (
    "First Name,Last Name,Date of Birth,National ID,Mobile,Organisation ID\r\n"
    "Una,Archer,1970-01-01,9990000018,07700900123,RX1\r\n"
    "Kit,Bowman,1971-01-01,9990000026,nonsense,RX2\r\n"
    "Lee,Carver,1971-13-01,9990000034,,RX1\r\n"
)


def test_good_rows_are_kept_and_bad_ones_come_back(desk: Desk, tmp_path: Path) -> None:
    sheet = tmp_path / "people.csv"
    sheet.write_text(SHEET, newline="")
    report = import_rows(desk, sheet)
    assert (report.rows, report.created, report.rejected, report.held) == (3, 2, 1, 0)
    assert report.findings == {"contact_unusable:PID-13": 1}
    assert report.rejected_file is not None
    back = report.rejected_file.read_text().splitlines()
    assert back[1].startswith("Lee,Carver,1971-13-01,9990000034,,RX1,date_of_birth is no date")
    with desk.database.read() as connection:
        owners = connection.scalars(select(tables.patient_records.c.organisation)).all()
    assert sorted(owners) == ["RX1", "RX2"]


def test_the_same_sheet_twice_changes_nothing(desk: Desk, tmp_path: Path) -> None:
    sheet = tmp_path / "people.csv"
    sheet.write_text(SHEET, newline="")
    import_rows(desk, sheet)
    before = row_counts(desk.database)
    report = import_rows(desk, sheet)
    assert (report.created, report.changed, report.unchanged, report.rejected) == (0, 0, 2, 1)
    assert row_counts(desk.database) == before


def test_what_the_feed_said_later_stays(desk: Desk, tmp_path: Path) -> None:
    newer = NO_GIVEN_NAME.replace(b"Archer^", b"Newer^Una").replace(b"0301120", b"0401120")
    record_id = desk.receive(newer).record_id
    sheet = tmp_path / "people.csv"
    sheet.write_text(SHEET, newline="")
    report = import_rows(desk, sheet)
    assert (report.created, report.stale) == (1, 1)
    assert record_id is not None
    assert desk.family(record_id) == "Newer, Una"


def test_a_row_that_is_held_waits_and_comes_back(desk: Desk, tmp_path: Path) -> None:
    """A row names one person; it is held where its listener takes verified numbers alone."""
    sheet = tmp_path / "people.csv"
    sheet.write_text("first_name,last_name,national_id\r\nUna,Archer,9990000018\r\n", newline="")
    found = survey(sheet)
    strict = ListenerOptions(LISTENER, "", 0, "RX1", ZoneInfo("Europe/London"), verify_status=True)
    rows = Rows(frozenset({"RX1"}), "RX1", found.dates, datetime(2026, 3, 1, tzinfo=UTC))
    report = CsvImport(desk.reprocessing, {"RX1": strict}).run(sheet, found, rows)
    assert (report.held, report.created, len(desk.waiting())) == (1, 0, 1)
    assert report.rejected_file is not None
    assert f"waits in quarantine as {desk.waiting()[0].id}" in report.rejected_file.read_text()


def test_fifty_thousand_rows_show_how_far_they_are(desk: Desk, tmp_path: Path) -> None:
    """In small: progress is told for every transaction, ends at the number of rows, and pauses lie between."""
    sheet = tmp_path / "people.csv"
    lines = [f"Una{n},Archer,X{n},CHI" for n in range(450)]
    sheet.write_text("first_name,last_name,national_id,national_id_type\r\n" + "\r\n".join(lines), newline="")
    found = survey(sheet)
    told: list[int] = []
    pauses: list[None] = []
    listeners = {"RX1": ListenerOptions(LISTENER, "", 0, "RX1", ZoneInfo("Europe/London"))}
    rows = Rows(frozenset({"RX1"}), "RX1", DateForm.ISO, datetime(2026, 3, 1, tzinfo=UTC))
    importing = CsvImport(desk.reprocessing, listeners)
    report = importing.run(sheet, found, rows, progress=told.append, pause=lambda: pauses.append(None))
    assert (report.created, told, len(pauses), found.rows) == (450, [200, 400, 450], 3, 450)

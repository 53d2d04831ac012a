"""Merges and deletions with all that hangs on them: invitations, accounts, the other daemon, the story that is told."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from sqlalchemy import text

from daemon import story
from daemon.commands import explain
from hl7_listener.arrival import Settled
from hl7_listener.batch import Batch, Stores
from hl7_listener.people import People
from patient_records.effects import Act
from patient_records.journal import Journal
from patient_records.lineage import forerunners_of, survivor_of
from patient_records.model import Identifier, Standing
from tests.support.fixtures import fixture
from tests.support.hospital import ORGANISATION, Hospital
from tests.support.listening import Listening
from tests.support.mllp import Wire, msa
from tests.support.patience import eventually
from tests.support.people import House

PRIOR, SURVIVOR = "F000070", "F000071"


class Ward(Hospital):
    """A listener and the house that invites, over one database and in one transaction, as the daemon wires them."""

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self.house = House(database_url, ring=self.ring)
        self._stores = Stores(self.records, Journal(self.ring), self.house.ids, self.house.consequences)

    def close(self) -> None:
        self.house.close()
        super().close()

    def play(self, *names: str) -> list[Settled]:
        """Send fixtures (without what they are given), each in a transaction of its own."""
        return [self.send(fixture(name).raw)[0] for name in names]

    def direct(self, value: str) -> int:
        """The id of the record that has a local number, merged or not."""
        with self.database.read() as connection:
            found = self.records.find_one(connection, Identifier("RX1", "MR", value, ORGANISATION))
        assert found is not None
        return found

    def token_ends(self, record_id: int) -> list[object]:
        return [row["end_reason"] for row in self.house.rows("access_tokens", record_id=record_id)]


@pytest.fixture
def ward(database_url: str) -> Iterator[Ward]:
    made = Ward(database_url)
    yield made
    made.close()


# ---- invitations and accounts ----------------------------------------------------------------------------------------


def test_a_merge_ends_what_the_prior_person_was_sent_and_leaves_the_survivor_alone(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a28_merge_survivor")
    prior, survivor = ward.direct(PRIOR), ward.direct(SURVIVOR)
    ward.house.issue.run()
    ward.play("a40_two_people")
    assert ward.token_ends(prior) == ["merged"]
    assert ward.token_ends(survivor) == [None]
    [entry] = ward.house.rows("outbox", record_id=prior)
    assert (entry["state"], entry["code"], entry["sealed_payload"]) == ("cancelled", "merged", None)
    assert ward.house.rows("outbox", record_id=survivor)[0]["state"] == "queued"
    assert (ward.house.state(prior), ward.house.state(survivor)) == ("merged", "invited")
    assert ward.house.issue.run().total == 0


def test_a_merge_turned_round_before_anything_was_sent_lets_the_right_one_be_invited(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a28_merge_survivor")
    prior, survivor = ward.direct(PRIOR), ward.direct(SURVIVOR)
    ward.house.issue.run()
    ward.play("a40_two_people", "a40_reversed")
    assert (ward.house.state(prior), ward.house.state(survivor)) == ("eligible", "merged")
    assert ward.token_ends(survivor) == ["merged"]
    assert ward.house.issue.run().total == 1
    assert ward.token_ends(prior) == ["merged", None]


def test_who_goes_on_under_another_identifier_keeps_the_invitation_and_gets_no_second(ward: Ward) -> None:
    ward.play("a28_merge_prior")
    ward.house.issue.run()
    ward.play("a31_merged_away")  # the survivor's date of birth, so that only the identifier changes
    [record_id] = {ward.direct(PRIOR)}
    ward.house.issue.run()
    ward.play("a40_survivor_unknown")
    assert ward.direct(SURVIVOR) == record_id
    assert ward.token_ends(record_id)[-1] is None
    assert ward.house.issue.run().total == 0


@pytest.mark.parametrize(("given", "message"), [("a28_merge_prior", "a29_delete"), ("a28_merge_prior", "a29_old")])
def test_a_deletion_ends_what_was_sent_and_the_person_made_anew_is_invited(
    ward: Ward, given: str, message: str
) -> None:
    ward.play(given)
    deleted = ward.direct(PRIOR)
    ward.house.issue.run()
    ward.play(message)
    assert ward.token_ends(deleted) == ["deleted"]
    assert ward.house.rows("outbox", record_id=deleted)[0]["state"] == "cancelled"
    assert ward.house.issue.run().total == 0
    ward.play("a28_after_deletion")
    anew = ward.direct(PRIOR)
    assert anew != deleted
    assert ward.house.state(deleted) == "deleted"
    assert ward.house.issue.run().total == 1
    assert ward.token_ends(anew) == [None]


@pytest.mark.parametrize("state", ["opted_out", "held", "excluded", "deceased"])
def test_who_is_deleted_and_made_anew_is_not_written_to_after_all(ward: Ward, state: str) -> None:
    ward.play("a28_merge_prior")
    deleted = ward.direct(PRIOR)
    stopped = {
        "opted_out": Standing(opted_out_at=datetime(2026, 1, 1, tzinfo=UTC)),
        "held": Standing(hold="other"),
        "excluded": Standing(exclusion="other"),
    }
    if state in stopped:
        ward.house.change(deleted, standing=stopped[state])
    else:
        ward.play("a28_merge_prior_dead")
    ward.play("a29_delete", "a28_after_deletion")
    assert ward.direct(PRIOR) != deleted
    assert ward.house.state(ward.direct(PRIOR)) == state
    assert ward.house.issue.run().total == 0


def test_who_reported_a_death_takes_it_back_when_the_person_is_made_anew(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a28_merge_prior_dead", "a29_delete")
    ward.send(fixture("a28_after_deletion").raw.replace(b"^PRN^CP", b"^PRN^CP" + b"|" * 17 + b"N"))
    assert ward.house.state(ward.direct(PRIOR)) == "eligible"


def test_a_deletion_after_a_merge_means_the_record_merged_away_although_the_nhs_number_stands_beside_it(
    ward: Ward,
) -> None:
    """The NHS number finds the survivor; it is the same person's, and says nothing of which of the two records goes."""
    nhs = b"~9993270008^^^NHS^NH"
    prior, survivor, merge, delete = (
        fixture(name).raw.replace(nhs, b"")
        for name in ("a28_merge_prior", "a28_merge_survivor", "a40_two_people", "a29_delete")
    )
    survivor = survivor.replace(b"F000071^^^RX1^MR", b"F000071^^^RX1^MR" + nhs)
    delete = delete.replace(b"F000070^^^RX1^MR", b"F000070^^^RX1^MR" + nhs)
    for raw in (prior, survivor, merge, delete):
        ward.send(raw)
    assert ward.direct(PRIOR) != ward.direct(SURVIVOR)
    assert ward.house.state(ward.direct(SURVIVOR)) == "eligible"
    ward.send(delete.replace(b"F000070", b"F000071"))
    assert ward.house.state(ward.direct(SURVIVOR)) == "deleted"


def test_an_account_of_the_prior_record_opens_nothing_of_the_survivor(ward: Ward) -> None:
    """Who could open the one record has not shown that the other is his; and merges are wrong at times."""
    ward.play("a28_merge_prior", "a28_merge_survivor")
    prior, survivor = ward.direct(PRIOR), ward.direct(SURVIVOR)
    ward.house.change(prior, standing=Standing(registered_at=datetime.now(UTC)))
    [merged] = ward.play("a40_two_people")
    assert "prior_registered:MRG-1" in merged.findings
    assert ward.house.state(survivor) == "eligible"
    assert ward.house.state(prior) == "merged"
    ward.play("a40_reversed")
    assert ward.house.state(prior) == "registered"


@pytest.mark.parametrize(
    ("standing", "state"),
    [
        (Standing(opted_out_at=datetime(2026, 1, 1, tzinfo=UTC)), "opted_out"),
        (Standing(hold="front desk"), "held"),
        (Standing(exclusion="staff"), "excluded"),
    ],
)
def test_what_stops_contact_with_the_prior_person_stops_it_with_the_survivor(
    ward: Ward, standing: Standing, state: str
) -> None:
    ward.play("a28_merge_prior", "a28_merge_survivor")
    survivor = ward.direct(SURVIVOR)
    ward.house.issue.run()
    ward.house.change(ward.direct(PRIOR), standing=standing)
    ward.play("a40_two_people")
    assert ward.house.state(survivor) in {state, "invited"}
    assert ward.token_ends(survivor) == [state]


def test_all_of_it_in_one_batch_comes_to_the_same(ward: Ward) -> None:
    names = ("a28_merge_prior", "a28_merge_survivor", "a40_two_people", "a40_reversed", "a29_delete")
    anew = "a28_after_deletion"
    settled = ward.send(*(fixture(name).raw for name in (*names, anew)))
    assert {done.outcome for done in settled} == {"applied"}
    record = ward.find(PRIOR)
    assert record is not None
    assert record.id == settled[-1].record_id != settled[0].record_id
    assert ward.find(SURVIVOR) != record  # it was merged into the one that was deleted
    assert ward.house.issue.run().total == 1


# ---- two organisations -----------------------------------------------------------------------------------------------


def test_another_organisation_neither_merges_nor_deletes(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a28_merge_survivor")
    theirs = replace(ward.listener, organisation="RX2")
    raw = fixture("a40_two_people").raw.replace(b"F000070^^^RX1^MR", b"9993270008^^^NHS^NH")
    merged, deleted = ward.send_as((theirs.organisation, raw), (theirs.organisation, fixture("a29_delete").raw))
    assert (str(merged.outcome), merged.reason) == ("held", "the record belongs to another organisation")
    assert (str(deleted.outcome), deleted.reason) == ("ignored", "the record belongs to another organisation")
    record = ward.find(PRIOR)
    assert record is not None
    assert record.standing == Standing()


def test_another_organisation_does_not_put_off_when_a_deleted_person_can_come_back(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a29_delete")
    ward.send_as(("RX2", fixture("a29_delete").raw.replace(b"20240306", b"20250306")))
    [anew] = ward.play("a28_after_deletion")
    assert str(anew.outcome) == "applied"


# ---- two daemons -----------------------------------------------------------------------------------------------------


def _messages(pairs: int, order: random.Random) -> list[list[bytes]]:
    """For each of two daemons: both directions of each merge, and updates of either person, in another order each."""
    people = [fixture("a28_merge_prior").raw, fixture("a28_merge_survivor").raw]
    merges = [fixture("a40_two_people").raw, fixture("a40_reversed").raw]
    updates = [fixture("a31_merged_away").raw, fixture("a28_merge_survivor").raw]
    made = [_of(raw, n, "made") for n in range(pairs) for raw in people]
    lanes = []
    for lane in range(2):
        mine = [
            _of(raw, n, f"{lane}{turn}") for n in range(pairs) for turn in range(4) for raw in (merges[lane], *updates)
        ]
        order.shuffle(mine)
        lanes.append(mine)
    return [made, *lanes]


def _of(raw: bytes, number: int, turn: str) -> bytes:
    """The same message about other people, under another number."""
    kind = raw.split(b"|")[9]
    raw = raw.replace(b"|" + kind + b"|", b"|%s-%d-%s|" % (kind, number, turn.encode()), 1)
    raw = raw.replace(b"F00007", b"F%d-" % number)
    return raw.replace(b"~9993270008^^^NHS^NH", b"")


def test_two_daemons_that_merge_the_same_people_at_once_come_to_one_end(postgres_url: str) -> None:
    pairs = 25
    made, *lanes = _messages(pairs, random.Random(7))
    with Listening(postgres_url) as one, Listening(postgres_url, beside=one) as two:
        with one.wire() as wire:
            assert _say(wire, made) == {"AA"}
        answers: list[set[str]] = []

        def speak(listening: Listening, messages: list[bytes]) -> None:
            with listening.wire() as wire:
                answers.append(_say(wire, messages))

        threads = [threading.Thread(target=speak, args=pair) for pair in zip((one, two), lanes, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == [{"AA"}, {"AA"}]
        assert one.told.errors == two.told.errors == []
        assert (one.conflicts + two.conflicts)["40P01"] == 0, "they waited for each other in a ring"
        hospital = one.hospital
        for n, (prior, survivor) in itertools.product(range(pairs), [("0", "1"), ("1", "0")]):
            first, second = hospital.find(f"F{n}-{prior}"), hospital.find(f"F{n}-{survivor}")
            assert first is not None
            assert first == second
            assert first.demographics.identifiers[0].value == f"F{n}-0", "the newer word is that this one goes on"


def test_a_merged_person_and_the_survivor_are_locked_in_the_order_of_their_ids(postgres_url: str) -> None:
    """Whoever waits for the first of them holds nothing that the one who has it may want."""
    ward = Ward(postgres_url)
    ward.play("a28_merge_prior", "a28_merge_survivor", "a40_two_people", "a40_reversed")
    first, second = sorted([ward.direct(PRIOR), ward.direct(SURVIVOR)])
    assert ward.direct(SURVIVOR) == second, "the record that was merged is the younger one"
    blind = ward.records.blind_index.identifier(Identifier("RX1", "MR", SURVIVOR, ORGANISATION))
    lock = "SELECT id FROM patient_records WHERE id = :id FOR UPDATE NOWAIT"

    def look_up() -> None:
        with ward.database.begin() as connection:
            People(ward.records, connection, datetime.now(UTC)).look_up([blind])

    def one_waits() -> bool:
        """Look in a transaction of its own: PostgreSQL shows the same picture for as long as one lasts."""
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with ward.database.read() as other:
            return bool(other.scalar(text(waiting)) == 1)

    with ThreadPoolExecutor(1) as pool:
        with ward.database.begin() as connection:
            connection.execute(text(lock), {"id": first})
            looking = pool.submit(look_up)
            eventually(one_waits, "the other one to wait")
            connection.execute(text(lock), {"id": second})
        looking.result()
    ward.close()


def _say(wire: Wire, messages: list[bytes]) -> set[str]:
    wire.send(*messages)
    return {msa(wire.receive())[0] for _ in messages}


# ---- the story -------------------------------------------------------------------------------------------------------


def test_the_story_of_a_merge_is_told_of_both_from_either_identifier(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a28_merge_survivor", "a40_two_people", "a31_merged_away")
    told = _told(ward, PRIOR)
    assert told == _told(ward, SURVIVOR)
    assert [message.event for message in told.messages] == ["ADT^A28", "ADT^A28", "ADT^A40", "ADT^A31"]
    merge = told.messages[2]
    assert [effect.act for effect in merge.effects] == ["merged_into", "merged_from"]
    assert {effect.other for effect in merge.effects} == {told.id, *told.merged}
    lines = "\n".join(explain._lines(told))
    assert lines.count(f"{told.merged[0]} was merged into {told.id}") == 1
    assert "finding: identifier_merged_away:PID-3" in lines


def test_the_invitations_of_the_prior_person_are_part_of_the_story(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a28_merge_survivor")
    ward.house.issue.run()
    ward.play("a40_two_people")
    told = _told(ward, SURVIVOR)
    assert sorted(str(invitation.end_reason) for invitation in told.invitations) == ["None", "cancelled"]


def test_the_story_of_a_merge_turned_round_and_of_a_deletion(ward: Ward) -> None:
    ward.play("a28_merge_prior", "a28_merge_survivor", "a40_two_people", "a40_reversed", "a29_delete")
    told = _told(ward, SURVIVOR)
    acts = [[effect.act for effect in message.effects] for message in told.messages]
    assert acts == [[], [], ["merged_into", "merged_from"], ["reversed_into", "reversed_from"], ["deleted"]]
    assert told.state == "deleted"
    assert "turned round" in "\n".join(explain._lines(told))


def test_a_message_of_several_groups_is_in_everybodys_story(ward: Ward) -> None:
    ward.play(*fixture("a40_several_groups").expected.given, "a40_several_groups")
    for value in (PRIOR, "F000025"):
        assert _told(ward, value).messages[-1].event == "ADT^A40"
    with ward.database.read() as connection:
        assert forerunners_of(connection, survivor_of(connection, ward.direct(PRIOR))) == [ward.direct(PRIOR)]


@pytest.mark.parametrize(
    "typed", ["F000070", "F000070^^^RX1^MR", "F000070^^^^MR", "F000070^^^rx1", "F000070^^^&RX1^mr"]
)
def test_a_story_is_found_by_what_stands_in_pid_3_in_whole_or_in_part(ward: Ward, typed: str) -> None:
    ward.play("a28_merge_prior")
    with ward.database.read() as connection:
        assert story.find(connection, ward.records, typed, [ORGANISATION]) == ward.direct(PRIOR)
        assert story.find(connection, ward.records, "F000070^^^RX1^PI", [ORGANISATION]) is None


def test_every_act_has_its_sentence() -> None:
    assert set(explain._ACTS) == {act.value for act in Act}


def _told(ward: Ward, value: str) -> story.Story:
    with ward.database.read() as connection:
        found = story.find(connection, ward.records, f"{value}^^^RX1^MR", [ORGANISATION])
        assert found is not None
        return story.tell(connection, found)


def test_batches_undo_a_whole_message_when_one_group_cannot_be_carried_out(ward: Ward) -> None:
    ward.play(*fixture("a40_group_ambiguous").expected.given)
    before = [ward.find(value) for value in (PRIOR, SURVIVOR)]
    arrivals = [ward._arrival(fixture("a40_group_ambiguous").raw, ORGANISATION)]
    with ward.database.begin() as connection:
        [settled] = Batch(ward._stores, connection, datetime.now(UTC)).settle(arrivals)
    assert str(settled.outcome) == "held"
    assert [ward.find(value) for value in (PRIOR, SURVIVOR)] == before

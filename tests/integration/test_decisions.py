"""What staff decide about a record has its consequences in the same transaction, and an entry in the audit trail."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from patient_records.audit import Actor, AuditTrail
from patient_records.audit_actions import ActorKind
from patient_records.decisions import Decider, Decision, Decisions, Ground, Verdict
from patient_records.errors import StorageConflict
from patient_records.model import Standing
from tests.support.people import House, person

ANNA = Decider(Actor(ActorKind.COORDINATOR, "7"), "RX1")
ELSEWHERE = Decider(Actor(ActorKind.COORDINATOR, "8"), "RX2")
OPERATOR = Decider(Actor(ActorKind.OPERATOR, "root"), None)


class Desk(House):
    """People, and who decides about them."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.trail = AuditTrail(self.ring, self.ids)
        self.decisions = Decisions(self.records, self.consequences, self.trail)

    def decide(self, record_id: int, decision: Decision, ground: Ground | None = None, by: Decider = ANNA) -> Verdict:
        with self.database.begin() as connection:
            return self.decisions.decide(
                connection, record_id, decision, by, self.database.now(connection), ground=ground
            )

    def told(self) -> list[tuple[str, dict[str, object]]]:
        with self.database.read() as connection:
            return [(entry.action, dict(entry.detail)) for entry in self.trail.entries(connection, limit=50)]

    def standing(self, record_id: int) -> Standing:
        with self.database.read() as connection:
            return self.records.load(connection, [record_id])[record_id].record.standing


@pytest.fixture
def desk(database_url: str) -> Iterator[Desk]:
    made = Desk(database_url)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("decision", "ground", "state", "undo"),
    [
        (Decision.HOLD, Ground.SAFEGUARDING, "held", Decision.RELEASE),
        (Decision.EXCLUDE, Ground.TEST_RECORD, "excluded", Decision.INCLUDE),
        (Decision.OPT_OUT, None, "opted_out", Decision.OPT_IN),
    ],
)
def test_a_decision_stops_what_is_under_way_and_can_be_undone(
    desk: Desk, decision: Decision, ground: Ground | None, state: str, undo: Decision
) -> None:
    [record_id] = desk.arrive([person()])
    desk.issue.run()
    assert desk.state(record_id) == "invited"
    assert desk.decide(record_id, decision, ground) is Verdict.DONE
    assert desk.state(record_id) == state
    [entry] = desk.rows("outbox", record_id=record_id)
    [pair] = desk.rows("access_tokens", record_id=record_id)
    assert (entry["state"], entry["sealed_payload"]) == ("cancelled", None)
    assert (pair["end_reason"], pair["wrapped_key"]) == (state, None)
    assert desk.decide(record_id, decision, ground) is Verdict.ALREADY_SO
    assert desk.decide(record_id, undo) is Verdict.DONE
    assert desk.state(record_id) == "eligible", "nothing had left the house"
    assert desk.standing(record_id) == Standing()
    detail = {"reason": ground.value} if ground else {}
    assert desk.told() == [(told_of(undo), {}), (told_of(decision), detail)]


def told_of(decision: Decision) -> str:
    return {
        Decision.HOLD: "record_held",
        Decision.RELEASE: "record_released",
        Decision.EXCLUDE: "record_excluded",
        Decision.INCLUDE: "record_included",
        Decision.OPT_OUT: "record_opted_out",
        Decision.OPT_IN: "record_opted_in",
    }[decision]


def test_another_ground_takes_the_place_of_the_first(desk: Desk) -> None:
    [record_id] = desk.arrive([person()])
    desk.decide(record_id, Decision.HOLD, Ground.CLINICAL)
    assert desk.decide(record_id, Decision.HOLD, Ground.SAFEGUARDING) is Verdict.DONE
    assert desk.standing(record_id).hold == "safeguarding"


@pytest.mark.parametrize(
    ("decision", "ground"), [(Decision.HOLD, None), (Decision.EXCLUDE, None), (Decision.RELEASE, Ground.OTHER)]
)
def test_a_reason_is_given_where_it_is_asked_for(desk: Desk, decision: Decision, ground: Ground | None) -> None:
    [record_id] = desk.arrive([person()])
    with pytest.raises(ValueError, match="reason"):
        desk.decide(record_id, decision, ground)
    assert desk.told() == []


def test_only_the_organisation_that_made_a_record_decides(desk: Desk) -> None:
    [record_id] = desk.arrive([person()])
    assert desk.decide(record_id, Decision.OPT_OUT, by=ELSEWHERE) is Verdict.OTHER_ORGANISATION
    assert desk.state(record_id) == "eligible"
    assert desk.told() == []
    assert desk.decide(record_id, Decision.OPT_OUT, by=OPERATOR) is Verdict.DONE


def test_nobody_decides_about_who_is_not_there(desk: Desk) -> None:
    assert desk.decide(404, Decision.OPT_OUT) is Verdict.NOT_FOUND
    [gone, prior] = desk.arrive([person(1), person(2)])
    desk.change(gone, standing=Standing(deleted_at=datetime.now(UTC)))
    desk.change(prior, standing=Standing(merged_into=gone))
    assert desk.decide(gone, Decision.OPT_OUT) is Verdict.NOT_FOUND
    with pytest.raises(StorageConflict):
        desk.decide(prior, Decision.OPT_OUT)


def test_what_fails_leaves_nothing_behind(desk: Desk) -> None:
    """Standing, consequences and audit are one transaction."""

    class Failing:
        def records_changed(self, *_given: object) -> None:
            raise RuntimeError("in the middle")

    [record_id] = desk.arrive([person()])
    desk.decisions = Decisions(desk.records, Failing(), desk.trail)
    with pytest.raises(RuntimeError):
        desk.decide(record_id, Decision.HOLD, Ground.OTHER)
    assert desk.standing(record_id).hold is None
    assert desk.told() == []

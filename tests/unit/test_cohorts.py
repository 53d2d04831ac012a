from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest

from invites.accounts.challenge import HARMLESS
from invites.cohorts import Cohort, share_of
from invites.eligibility import STOPPING, Eligible, Ineligible, Policy, Reason, assess
from invites.refusal import judge
from patient_records.id_time import made_at_ms
from patient_records.ids import IdSource
from patient_records.model import BirthDate
from tests.support.people import person, record

TODAY = date(2026, 3, 1)
MADE = datetime(2026, 2, 1, 12, tzinfo=UTC)
BORN_1980 = msgspec.structs.replace(
    record(person(birth=BirthDate("19800301"))),
    id=IdSource(lambda: int(MADE.timestamp() * 1000), lambda count: b"\0" * count).row_id(),
)


@pytest.mark.parametrize(
    ("cohort", "admits"),
    [
        (Cohort(), True),
        (Cohort(organisations=frozenset({"RX1"})), True),
        (Cohort(organisations=frozenset({"RX2"})), False),
        (Cohort(senders=frozenset({"PAS|RX1"})), True),
        (Cohort(senders=frozenset({"KIOSK|RX1"})), False),
        (Cohort(minimum_age=46), True),
        (Cohort(minimum_age=47), False),
        (Cohort(maximum_age=46), True),
        (Cohort(maximum_age=45), False),
        (Cohort(postcodes=("EX1",)), True),
        (Cohort(postcodes=("EX2", "LS1")), False),
        (Cohort(created_since=date(2026, 2, 1)), True),
        (Cohort(created_since=date(2026, 2, 2)), False),
        (Cohort(percent=0), False),
        (Cohort(organisations=frozenset({"RX1"}), percent=0), False),
    ],
)
def test_a_cohort_is_all_that_it_says(cohort: Cohort, admits: bool) -> None:  # noqa: FBT001 (a case's expectation)
    said = assess(BORN_1980, Policy(cohorts=(cohort,)), TODAY, invited=False)
    assert isinstance(said, Eligible) is admits
    if isinstance(said, Ineligible):
        assert said.reasons == (Reason.OUTSIDE_COHORT,)


def test_one_of_several_is_enough() -> None:
    nobody, everybody = Cohort(percent=0), Cohort(minimum_age=40)
    assert isinstance(assess(BORN_1980, Policy(cohorts=(nobody, everybody)), TODAY, invited=False), Eligible)


def test_a_share_grows_and_keeps_whom_it_had() -> None:
    ids = [f"{number:032x}" for number in range(2000)]
    shares = {percent: {id_ for id_ in ids if share_of(id_) < percent} for percent in (10, 20, 100)}
    assert shares[10] < shares[20] < shares[100] == set(ids)
    assert 150 < len(shares[10]) < 250


def test_a_pair_may_be_asked_for_outside_of_every_cohort() -> None:
    assert judge(BORN_1980, "RX1", Policy(cohorts=(Cohort(percent=0),)), TODAY) is None


def test_an_id_knows_when_it_was_made() -> None:
    assert made_at_ms(BORN_1980.id) == int(MADE.timestamp() * 1000)


def test_a_pair_that_was_sent_still_opens_outside_of_every_cohort() -> None:
    assert Reason.OUTSIDE_COHORT in HARMLESS
    assert Reason.OUTSIDE_COHORT not in STOPPING

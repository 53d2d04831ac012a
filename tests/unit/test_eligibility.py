from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from invites.cohorts import Cohort
from invites.eligibility import ELIGIBLE, Eligible, Ineligible, Policy, Reason, age_on, assess
from patient_records.model import BirthDate, Demographics, PersonName
from tests.support.people import DEAD, EMAIL_ONLY, SMS_ONLY, person, record

TODAY = date(2026, 3, 1)
NOW = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = Policy()


def reasons(demographics: Demographics, policy: Policy = POLICY, **standing: Any) -> tuple[Reason, ...]:
    said = assess(record(demographics, **standing), policy, TODAY, invited=False)
    return said.reasons if isinstance(said, Ineligible) else ()


def test_an_adult_with_contacts_is_eligible_by_every_channel_in_the_policys_order() -> None:
    assert assess(record(), POLICY, TODAY, invited=False) == Eligible(("sms", "email", "letter"))
    other = msgspec.structs.replace(POLICY, channels=("letter", "sms"))
    assert assess(record(), other, TODAY, invited=False) == Eligible(("letter", "sms"))


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        ({"merged_into": 7}, Reason.MERGED),
        ({"deleted_at": NOW}, Reason.DELETED),
        ({"registered_at": NOW}, Reason.REGISTERED),
        ({"opted_out_at": NOW}, Reason.OPTED_OUT),
        ({"hold": "ambiguous"}, Reason.HELD),
        ({"exclusion": "staff"}, Reason.EXCLUDED),
    ],
)
def test_each_standing_is_its_reason(standing: dict[str, Any], reason: Reason) -> None:
    assert reasons(person(), **standing) == (reason,)


@pytest.mark.parametrize(
    ("demographics", "reason"),
    [
        (person(death=DEAD), Reason.DECEASED),
        (person(birth=None), Reason.NO_DATE_OF_BIRTH),
        (person(birth=BirthDate("198012")), Reason.NO_DATE_OF_BIRTH),
        (person(birth=BirthDate("19800230")), Reason.NO_DATE_OF_BIRTH),
        (person(birth=BirthDate("20100302")), Reason.UNDER_AGE),
        (person(birth=BirthDate("20300101")), Reason.UNDER_AGE),
        (person(home=(), work=(), addresses=()), Reason.NO_CONTACT),
        (person(protection="Y"), Reason.CONFIDENTIAL),
        (person(publicity="n"), Reason.CONFIDENTIAL),
        (person(vip="VIP"), Reason.CONFIDENTIAL),
        (person(names=(PersonName("XXTESTPATIENT", "A"),)), Reason.TEST_PATIENT),
        (person(names=(PersonName("Lovelace", "Ada"), PersonName("zzzTest", "B"))), Reason.TEST_PATIENT),
    ],
)
def test_each_lack_or_flag_is_its_reason(demographics: Demographics, reason: Reason) -> None:
    assert reasons(demographics) == (reason,)


@pytest.mark.parametrize(
    "demographics",
    [
        person(birth=BirthDate("20100301")),
        person(home=EMAIL_ONLY, addresses=()),
        person(home=SMS_ONLY, addresses=()),
        person(vip="N", protection="N", publicity="F"),
        person(names=(PersonName("Testa", "Roberto"),)),
    ],
)
def test_what_is_no_reason(demographics: Demographics) -> None:
    assert reasons(demographics) == ()


def test_the_policy_excludes_organisations_senders_and_names() -> None:
    policy = Policy(
        excluded_organisations=frozenset({"RX1"}),
        excluded_senders=frozenset({"PAS|RX1"}),
        test_patients=re.compile("lovelace, ada", re.IGNORECASE),
    )
    found = reasons(person(), policy)
    assert found == (Reason.EXCLUDED_ORGANISATION, Reason.EXCLUDED_SENDER, Reason.TEST_PATIENT)
    assert reasons(person(), msgspec.structs.replace(POLICY, test_patients=None)) == ()


def test_a_channel_that_is_not_allowed_is_no_contact() -> None:
    only_sms = msgspec.structs.replace(POLICY, channels=("sms",))
    assert reasons(person(home=EMAIL_ONLY), only_sms) == (Reason.NO_CONTACT,)


def test_who_was_invited_is_not_invited_again() -> None:
    said = assess(record(), POLICY, TODAY, invited=True)
    assert said == Ineligible((Reason.INVITED,))
    assert said.state == "invited"


def test_all_reasons_are_told_in_the_order_of_their_weight() -> None:
    everything = person(
        death=DEAD, birth=BirthDate("20200101"), home=(), addresses=(), protection="Y",
        names=(PersonName("ZZTEST", "X"),),
    )  # fmt: skip
    standing = {
        "merged_into": 2, "deleted_at": NOW, "registered_at": NOW, "opted_out_at": NOW, "hold": "x", "exclusion": "y",
    }  # fmt: skip
    policy = Policy(
        excluded_organisations=frozenset({"RX1"}),
        excluded_senders=frozenset({"PAS|RX1"}),
        cohorts=(Cohort(percent=0),),
    )
    said = assess(record(everything, **standing), policy, TODAY, invited=True)
    assert isinstance(said, Ineligible)
    assert said.reasons == tuple(
        reason for reason in Reason if reason not in (Reason.NO_DATE_OF_BIRTH, Reason.UNDELIVERABLE)
    )


def test_a_channel_that_failed_is_none_and_when_all_did_the_person_is_undeliverable() -> None:
    assert assess(record(), POLICY, TODAY, invited=False, failed={"sms"}) == Eligible(("email", "letter"))
    said = assess(record(), POLICY, TODAY, invited=False, failed={"sms", "email", "letter"})
    assert said == Ineligible((Reason.UNDELIVERABLE,))
    nowhere = record(person(home=(), addresses=()))
    assert assess(nowhere, POLICY, TODAY, invited=False, failed={"sms"}) == Ineligible((Reason.NO_CONTACT,))


def test_under_age_comes_last_so_that_as_a_state_it_stands_alone() -> None:
    assert list(Reason)[-1] is Reason.UNDER_AGE
    assert reasons(person(birth=BirthDate("20200101"), home=(), addresses=()))[0] is Reason.NO_CONTACT


def test_every_reason_has_its_sentence_and_none_is_called_eligible() -> None:
    assert all(reason.sentence.endswith(".") for reason in Reason)
    assert len({reason.sentence for reason in Reason}) == len(Reason)
    assert ELIGIBLE not in set(Reason)


@pytest.mark.parametrize(
    ("today", "born", "age"),
    [
        (date(2026, 3, 1), date(2010, 3, 1), 16),
        (date(2026, 2, 28), date(2010, 3, 1), 15),
        (date(2026, 2, 28), date(2008, 2, 29), 17),
        (date(2026, 3, 1), date(2008, 2, 29), 18),
        (date(2024, 2, 29), date(2008, 2, 29), 16),
        (date(2026, 3, 1), date(2026, 3, 1), 0),
        (date(2026, 3, 1), date(2027, 1, 1), -1),
    ],
)
def test_age_is_counted_in_completed_years(today: date, born: date, age: int) -> None:
    assert age_on(today, born) == age

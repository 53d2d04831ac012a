"""SPEC 3.5, sentence by sentence: what an update makes of a record."""

from __future__ import annotations

from typing import Any, Final

import pytest
from msgspec.structs import replace

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
    PatientRecord,
    PersonName,
    Standing,
)
from patient_records.reconcile import Outcome, Reconciliation, reconcile
from patient_records.update import ERASED, OMITTED, DeathNews, PatientUpdate

RX1: Final = "RX1"
NHS: Final = Identifier("NHS", "NH", "9434765919")
OTHER_NHS: Final = Identifier("NHS", "NH", "9434765870")
FIRST, SECOND = Identifier("RX1", "MR", "1", RX1), Identifier("RX1", "MR", "2", RX1)
ELSEWHERE: Final = Identifier("RX2", "MR", "1", "RX2")
PAS, LAB = "PAS|RX1", "LAB|RX1"
ADA: Final = PersonName("Lovelace", "Ada")

STORED: Final[dict[str, Any]] = {
    "names": (ADA, PersonName("Byron", "Ada", use="M")),
    "birth": BirthDate("18151210"),
    "sex": "F",
    "addresses": (Address(("1 Long Lane",)), Address(("2 Short Street",))),
    "home": (ContactPoint(MOBILE, "+447700900001"), ContactPoint(EMAIL, "ada@example.org")),
    "work": (ContactPoint(MOBILE, "+447700900002"),),
    "language": "en",
    "publicity": "O",
    "protection": "Y",
    "vip": "V",
}
SENT: Final[dict[str, Any]] = {
    "names": (PersonName("King", "Augusta"),),
    "birth": BirthDate("1815"),
    "sex": "U",
    "addresses": (Address(("3 New Road",)),),
    "home": (ContactPoint(EMAIL, "augusta@example.org"),),
    "work": (ContactPoint(EMAIL, "work@example.org"),),
    "language": "fr",
    "publicity": "N",
    "protection": "N",
    "vip": "X",
}
EMPTY: Final[dict[str, Any]] = {name: getattr(Demographics(), name) for name in STORED}
FIELDS: Final = sorted(STORED)


def record(**demographics: Any) -> PatientRecord:
    """A person whom RX1 made, last changed by an event at 100."""
    given = {"identifiers": (NHS, FIRST), "sender": PAS, "last_event_at": 100, **STORED, **demographics}
    return PatientRecord(1, "public", RX1, 1, Demographics(**given), Standing())


def update(at: int = 100, sender: str = PAS, organisation: str = RX1, **said: Any) -> PatientUpdate:
    given = {"identifiers": (FIRST,), **said}
    return PatientUpdate("A31", at, sender, organisation, **given)


def made(result: Reconciliation) -> Demographics:
    assert result.demographics is not None
    return result.demographics


def dead(*senders: str, at: int = 100) -> Death:
    return Death(tuple(DeathReport(sender, at) for sender in senders))


# --- To create a person: at least one usable identifier, family name and given name.


def test_a_person_is_made_of_what_the_message_says() -> None:
    result = reconcile(None, update(7, identifiers=(NHS, FIRST), **SENT))
    assert (result.outcome, result.changes) == (Outcome.APPLIED, ("created",))
    assert made(result) == Demographics(identifiers=(NHS, FIRST), sender=PAS, last_event_at=7, **SENT)


@pytest.mark.parametrize(
    "names", [OMITTED, ERASED, (), (PersonName("Lovelace"),), (PersonName(given="Ada"), PersonName("Lovelace"))]
)
def test_nobody_is_made_without_a_family_and_a_given_name(names: Any) -> None:
    result = reconcile(None, update(**{**SENT, "names": names}))
    assert (result.outcome, result.demographics, result.missing) == (Outcome.REJECTED, None, "PID-5")


def test_any_of_the_names_will_do() -> None:
    assert reconcile(None, update(names=(PersonName("Alias"), ADA))).outcome is Outcome.APPLIED


def test_a_known_person_needs_no_name() -> None:
    assert reconcile(record(), update(101)).outcome is Outcome.APPLIED


def test_a_person_may_come_dead() -> None:
    result = reconcile(None, update(7, names=(ADA,), death=DeathNews(dead=True, on="1852")))
    assert made(result).death == Death((DeathReport(PAS, 7, "1852"),))
    alive = reconcile(None, update(7, names=(ADA,), death=DeathNews(dead=False)))
    assert made(alive).death is None


# --- Fields: omitted or empty leaves what is stored; "" erases; a value sets.


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_omitted_stays(field: str) -> None:
    result = reconcile(record(), update(101, **{name: value for name, value in SENT.items() if name != field}))
    assert getattr(made(result), field) == STORED[field]
    assert field not in result.changes


@pytest.mark.parametrize("field", FIELDS)
def test_what_is_erased_goes_and_nothing_else_does(field: str) -> None:
    erased: dict[str, Any] = {field: ERASED}
    result = reconcile(record(), update(101, **erased))
    assert made(result) == replace(record().demographics, last_event_at=101, **{field: EMPTY[field]})
    assert result.changes == (field,)


@pytest.mark.parametrize("field", FIELDS)
def test_a_value_replaces_as_a_whole(field: str) -> None:
    result = reconcile(record(), update(101, **{field: SENT[field]}))
    assert made(result) == replace(record().demographics, last_event_at=101, **{field: SENT[field]})
    assert result.changes == (field,)


def test_what_is_sent_again_changes_nothing() -> None:
    result = reconcile(record(), update(100, identifiers=(NHS, FIRST), **STORED))
    assert (result.outcome, result.changes, made(result)) == (Outcome.APPLIED, (), record().demographics)


# --- Order: an older event changes no demographics; equal applies.


@pytest.mark.parametrize(("at", "outcome"), [(99, Outcome.STALE), (100, Outcome.APPLIED), (101, Outcome.APPLIED)])
def test_only_an_older_event_is_stale(at: int, outcome: Outcome) -> None:
    result = reconcile(record(), update(at, **SENT))
    assert result.outcome is outcome
    expected = STORED if outcome is Outcome.STALE else SENT
    assert {name: getattr(made(result), name) for name in FIELDS} == expected
    assert made(result).last_event_at == max(at, 100)


def test_an_older_event_erases_nothing() -> None:
    erased: dict[str, Any] = dict.fromkeys(FIELDS, ERASED)
    assert made(reconcile(record(), update(99, **erased))) == record().demographics


# --- Identifiers.


def test_identifiers_that_the_message_does_not_name_stay() -> None:
    assert made(reconcile(record(), update(101, identifiers=(FIRST,)))).identifiers == (NHS, FIRST)


def test_a_value_replaced_stays_as_an_alias() -> None:
    result = reconcile(record(), update(101, identifiers=(SECOND,)))
    assert (made(result).identifiers, made(result).aliases) == ((NHS, SECOND), (FIRST,))
    assert result.changes == ("identifiers", "aliases")


def test_a_value_that_returns_is_no_alias_any_more() -> None:
    result = reconcile(record(identifiers=(NHS, SECOND), aliases=(FIRST,)), update(101, identifiers=(FIRST,)))
    assert (made(result).identifiers, made(result).aliases) == ((NHS, FIRST), (SECOND,))


def test_a_new_kind_is_added() -> None:
    number = Identifier("DVLA", "DL", "X", RX1)
    assert made(reconcile(record(), update(101, identifiers=(number,)))).identifiers == (NHS, FIRST, number)


def test_a_late_event_adds_what_is_unknown_and_replaces_nothing() -> None:
    number = Identifier("DVLA", "DL", "X", RX1)
    result = reconcile(record(), update(99, identifiers=(SECOND, number)))
    assert result.outcome is Outcome.STALE
    assert (made(result).identifiers, made(result).aliases) == ((NHS, FIRST, number), (SECOND,))


def test_of_several_values_of_a_kind_the_last_is_current_and_all_find() -> None:
    result = made(reconcile(record(identifiers=(NHS,)), update(101, identifiers=(FIRST, SECOND))))
    assert (result.identifiers, result.aliases) == ((NHS, SECOND), (FIRST,))


def test_several_values_of_a_kind_sent_again_change_nothing() -> None:
    known = record(identifiers=(NHS, SECOND), aliases=(FIRST, Identifier("RX1", "MR", "3", RX1)))
    result = reconcile(known, update(100, identifiers=(FIRST, SECOND)))
    assert (made(result), result.changes) == (known.demographics, ())


# --- Death is never dropped as stale; a newer "" or N from the sender that reported it revokes it.


@pytest.mark.parametrize("at", [1, 99, 100, 101])
def test_death_is_never_too_old(at: int) -> None:
    result = reconcile(record(), update(at, death=DeathNews(dead=True, on="2026")))
    assert made(result).death == Death((DeathReport(PAS, at, "2026"),))
    assert "death" in result.changes


def test_a_message_that_says_nothing_of_death_changes_nothing_about_it() -> None:
    assert made(reconcile(record(death=dead(PAS)), update(101, **SENT))).death == dead(PAS)


@pytest.mark.parametrize(
    ("at", "stands", "says"),
    [(101, None, "newer: revoked"), (100, None, "equal applies"), (99, dead(PAS), "older: the death stands")],
)
def test_the_sender_that_reported_a_death_takes_it_back(at: int, stands: Death | None, says: str) -> None:
    result = reconcile(record(death=dead(PAS)), update(at, death=DeathNews(dead=False)))
    assert made(result).death == stands, says
    assert result.findings == ()


def test_another_sender_takes_nothing_back_but_is_heard() -> None:
    result = reconcile(record(death=dead(PAS)), update(101, LAB, death=DeathNews(dead=False)))
    assert made(result).death == dead(PAS)
    assert result.findings == ("death_denied_by_another_sender:PID-30",)


def test_a_death_that_two_reported_ends_when_both_took_it_back() -> None:
    both = made(reconcile(record(death=dead(PAS)), update(102, LAB, death=DeathNews(dead=True))))
    assert both.death == Death((DeathReport(PAS, 100), DeathReport(LAB, 102)))
    one = made(reconcile(record(death=both.death), update(103, PAS, death=DeathNews(dead=False))))
    assert one.death == Death((DeathReport(LAB, 102),))
    none = made(reconcile(record(death=one.death), update(104, LAB, death=DeathNews(dead=False))))
    assert none.death is None


def test_alive_is_no_news_of_the_living() -> None:
    result = reconcile(record(), update(101, LAB, death=DeathNews(dead=False)))
    assert (made(result).death, result.changes, result.findings) == (None, (), ())


def test_a_second_report_keeps_the_later_word_on_the_date() -> None:
    first = made(reconcile(record(), update(101, death=DeathNews(dead=True, on="2026"))))
    second = made(reconcile(record(death=first.death), update(103, death=DeathNews(dead=True, on="20260101"))))
    assert second.death == Death((DeathReport(PAS, 103, "20260101"),))
    silent = made(reconcile(record(death=second.death), update(104, death=DeathNews(dead=True))))
    assert silent.death == Death((DeathReport(PAS, 104, "20260101"),))
    late = made(reconcile(record(death=silent.death), update(101, death=DeathNews(dead=True, on="2026"))))
    assert late.death == silent.death


def test_a_death_report_moves_last_event_only_when_it_is_not_late() -> None:
    assert made(reconcile(record(), update(99, death=DeathNews(dead=True)))).last_event_at == 100
    assert made(reconcile(record(), update(101, death=DeathNews(dead=True)))).last_event_at == 101


# --- Organisations: another one's message adds its local identifiers and stops contact; the rest is findings.


def elsewhere(at: int = 101, sender: str = "PAS|RX2", **said: Any) -> PatientUpdate:
    return update(at, sender, "RX2", **{"identifiers": (NHS, ELSEWHERE), **said})


def test_another_organisation_adds_its_local_identifiers_and_changes_nothing_else() -> None:
    result = reconcile(record(), elsewhere(**SENT))
    assert made(result) == replace(record().demographics, identifiers=(NHS, FIRST, ELSEWHERE))
    assert result.changes == ("identifiers",)
    assert set(result.findings) == {f"differs_from_owner:{field}" for field in FIELDS}


def test_agreement_from_elsewhere_is_no_finding() -> None:
    assert reconcile(record(), elsewhere(**STORED)).findings == ()
    assert reconcile(record(), elsewhere()).findings == ()


def test_an_erasure_from_elsewhere_is_a_finding() -> None:
    result = reconcile(record(), elsewhere(sex=ERASED))
    assert (made(result).sex, result.findings) == ("F", ("differs_from_owner:sex",))


def test_a_death_reported_from_elsewhere_is_taken_back_by_its_own_sender_alone() -> None:
    reported = made(reconcile(record(), elsewhere(sender="THEIRS", death=DeathNews(dead=True))))
    assert reported.death is not None
    denied = made(reconcile(record(death=reported.death), elsewhere(at=102, death=DeathNews(dead=False))))
    assert denied.death == reported.death
    owner = made(reconcile(record(death=reported.death), update(at=103, death=DeathNews(dead=False))))
    assert owner.death == reported.death
    back = elsewhere(at=104, sender="THEIRS", death=DeathNews(dead=False))
    assert made(reconcile(record(death=reported.death), back)).death is None


def test_a_national_number_from_elsewhere_is_a_finding_unless_it_is_known() -> None:
    result = reconcile(record(), elsewhere(identifiers=(OTHER_NHS, ELSEWHERE)))
    assert made(result).identifiers == (NHS, FIRST, ELSEWHERE)
    assert result.findings == ("differs_from_owner:identifiers",)
    known = reconcile(record(aliases=(OTHER_NHS,)), elsewhere(identifiers=(OTHER_NHS,)))
    assert known.findings == ()


def test_what_comes_from_elsewhere_makes_nothing_of_the_owners_stale() -> None:
    after = made(reconcile(record(), elsewhere(500)))
    assert after.last_event_at == 100
    result = reconcile(record(last_event_at=after.last_event_at), update(101, **SENT))
    assert result.outcome is Outcome.APPLIED


def test_a_death_from_elsewhere_stops_contact_however_old() -> None:
    result = reconcile(record(), elsewhere(1, death=DeathNews(dead=True)))
    assert made(result).death == Death((DeathReport("PAS|RX2", 1, organisation="RX2"),))


def test_a_denial_from_elsewhere_starts_no_contact_again() -> None:
    result = reconcile(record(death=dead(PAS)), elsewhere(death=DeathNews(dead=False)))
    assert made(result).death == dead(PAS)
    assert result.findings == ("death_denied_by_another_sender:PID-30",)


# --- What it tells of itself.


def test_nothing_that_it_tells_holds_content() -> None:
    for person in (None, record(death=dead(LAB))):
        for said in (update(101, **SENT, death=DeathNews(dead=False)), elsewhere(**SENT), update(1)):
            result = reconcile(person, said)
            told = " ".join([*result.changes, *result.findings, result.missing, repr(result)])
            for content in ("King", "Augusta", "1815", "New Road", "example.org", "9434765919"):
                assert content not in told


def test_systems_called_alike_in_two_organisations_report_deaths_apart() -> None:
    theirs = made(reconcile(record(), elsewhere(sender=PAS, death=DeathNews(dead=True))))
    denied = reconcile(record(death=theirs.death), update(at=200, sender=PAS, death=DeathNews(dead=False)))
    assert made(denied).death == theirs.death
    assert denied.findings == ("death_denied_by_another_sender:PID-30",)

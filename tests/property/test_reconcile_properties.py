"""Feeds of any kind: repeated, late, out of order, from several senders."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from patient_records.model import (
    Address,
    BirthDate,
    ContactPoint,
    Demographics,
    Identifier,
    PatientRecord,
    PersonName,
    Standing,
)
from patient_records.reconcile import Outcome, reconcile
from patient_records.update import ERASED, OMITTED, DeathNews, PatientUpdate

RX1 = "RX1"
SETTABLE = ("names", "birth", "sex", "addresses", "home", "work", "language", "publicity", "protection", "vip")
words = st.sampled_from(["A", "B", "C"])


def said(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A field as a message may have it: absent, erased or set."""
    return st.one_of(st.just(OMITTED), st.just(ERASED), values)


local_identifiers = st.builds(Identifier, words, words, words, st.just(RX1))
national_identifiers = st.builds(Identifier, st.just("NHS"), st.just("NH"), words)
contacts = st.lists(st.builds(ContactPoint, st.sampled_from(["mobile", "email"]), words), max_size=2).map(tuple)
addresses = st.lists(st.builds(Address, words.map(lambda line: (line,))), max_size=2).map(tuple)
names = st.lists(st.builds(PersonName, words, words), min_size=1, max_size=2).map(tuple)
fields = {
    "names": said(names),
    "birth": said(st.builds(BirthDate, st.sampled_from(["1980", "19800101"]))),
    "sex": said(words),
    "addresses": said(addresses),
    "home": said(contacts),
    "work": said(contacts),
    "language": said(words),
    "publicity": said(words),
    "protection": said(words),
    "vip": said(words),
}
identifiers = st.lists(local_identifiers | national_identifiers, min_size=1, max_size=4).map(tuple)
senders = st.sampled_from(["PAS", "LAB"])
deaths = st.builds(DeathNews, st.just(value=True), words)
revocations = st.just(DeathNews(dead=False))
organisations = st.sampled_from([RX1, "RX2"])


def updates(death: st.SearchStrategy[Any], organisation: st.SearchStrategy[str]) -> st.SearchStrategy[PatientUpdate]:
    return st.builds(
        PatientUpdate,
        st.just("A31"),
        st.integers(0, 20),
        senders,
        organisation,
        identifiers,
        death=st.none() | death,
        **fields,
    )


anything = updates(deaths | revocations, organisations)
of_the_owner = updates(deaths, st.just(RX1))


def applied(feed: list[PatientUpdate]) -> PatientRecord | None:
    """What a feed makes of nothing."""
    record = None
    for update in feed:
        demographics = reconcile(record, update).demographics
        if demographics is not None:
            record = PatientRecord(
                1, "p", record.organisation if record else update.organisation, 1, demographics, Standing()
            )
    return record


def content(record: PatientRecord | None) -> object:
    """Who somebody is, in no order where there is none."""
    if record is None:
        return None
    stored = record.demographics
    reports = frozenset(stored.death.reports) if stored.death else frozenset()
    plain = replace(stored, identifiers=(), aliases=(), death=None)
    return plain, frozenset(stored.identifiers), frozenset(stored.aliases), reports


@given(st.lists(anything, min_size=1, max_size=8))
def test_the_same_update_changes_nothing_the_second_time(feed: list[PatientUpdate]) -> None:
    once = applied(feed)
    if once is None:
        return
    again = reconcile(once, feed[-1])
    if reconcile(applied(feed[:-1]), feed[-1]).demographics is None:
        return  # it was refused the first time: nobody was known yet
    assert again.demographics == once.demographics
    assert again.changes == ()


@given(
    st.lists(of_the_owner, min_size=1, max_size=8, unique_by=lambda update: update.event_at),
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 20)), max_size=10),
)
def test_repeats_at_any_later_place_change_nothing(feed: list[PatientUpdate], repeats: list[tuple[int, int]]) -> None:
    while feed and reconcile(None, feed[0]).demographics is None:
        feed = feed[1:]  # what was refused was not applied, and may be by a repeat
    repeated = list(feed)
    for which, later in repeats:
        if which < len(feed):
            first = repeated.index(feed[which])
            repeated.insert(min(len(repeated), first + 1 + later), feed[which])
    assert content(applied(repeated)) == content(applied(feed))


@given(st.lists(of_the_owner, min_size=1, max_size=6), anything)
def test_an_older_event_that_comes_late_leaves_demographics_as_they_were(
    feed: list[PatientUpdate], late: PatientUpdate
) -> None:
    record = applied(feed)
    if record is None:
        return
    before = record.demographics
    late = replace(late, event_at=before.last_event_at - 1, organisation=RX1)
    result = reconcile(record, late)
    after = result.demographics
    assert after is not None
    assert result.outcome is Outcome.STALE
    for field in (*SETTABLE, "last_event_at", "sender"):
        assert getattr(after, field) == getattr(before, field)
    assert after.identifiers[: len(before.identifiers)] == before.identifiers
    assert set(before.aliases) <= set(after.aliases)
    if before.death and late.death is not None and late.death.dead:
        assert after.death is not None


@given(st.lists(anything, min_size=1, max_size=8))
def test_no_identifier_is_ever_lost_and_each_kind_has_one_value(feed: list[PatientUpdate]) -> None:
    record = applied(feed)
    if record is None:
        return
    stored = record.demographics
    kinds = [identifier.kind for identifier in stored.identifiers]
    assert len(set(kinds)) == len(kinds)
    assert not set(stored.identifiers) & set(stored.aliases)
    assert len(set(stored.aliases)) == len(stored.aliases)
    made = next(at for at, update in enumerate(feed) if reconcile(None, update).demographics is not None)
    for update in feed[made:]:
        owns = update.organisation == record.organisation
        kept = {identifier for identifier in update.identifiers if owns or not identifier.national}
        assert kept <= {*stored.identifiers, *stored.aliases}


@given(st.lists(anything, min_size=1, max_size=8))
def test_another_organisation_changes_only_identifiers_and_death(feed: list[PatientUpdate]) -> None:
    record = applied([replace(update, organisation=RX1) for update in feed[:-1]])
    if record is None:
        return
    after = reconcile(record, replace(feed[-1], organisation="RX2")).demographics
    assert after is not None
    kept: Demographics = replace(
        after,
        identifiers=record.demographics.identifiers,
        aliases=record.demographics.aliases,
        death=record.demographics.death,
    )
    assert kept == record.demographics
    assert after.death is not None or record.demographics.death is None

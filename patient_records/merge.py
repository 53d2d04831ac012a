"""Which of two people goes on, when a message says that they are one (SPEC 3.5). Pure.

A merge names people by identifiers: those of the one who ends (MRG, *prior*) and those of the one who goes on (PID,
*survivor*). Each identifier finds a record, or nobody; a record that was merged before leads on to its survivor. From
that alone :func:`judge` says what the merge comes to:

==================================  ====================================================================================
the two are                         it comes to
==================================  ====================================================================================
two people                          :class:`Merge`: the prior one points to the survivor from now on
the same, prior merged already      :class:`Same`: a repeated merge, or a merge of somebody with himself
the same, the other way round       :class:`Reverse`: a correction; who was the prior is the survivor from now on
prior merged into a third           :class:`Merge` of the prior record alone; the third, whom nobody named, stays
nobody known as prior               :class:`Same`: the prior's identifiers find the survivor from now on
nobody known as survivor            :class:`Rename`: the person goes on under the survivor's identifiers
nobody at all                       :class:`Nobody`: whoever the message describes is new, under both
identifiers of several people       :class:`Unclear`
==================================  ====================================================================================

A merge is never too late: contact that must stop stops whenever the word comes. But which way two people point is a
matter of the newest word: a merge that is older than the one that it would turn round is :class:`Late`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from patient_records.model import Death, Demographics, PatientRecord, Standing


class Merge(Struct, frozen=True):
    """``prior`` points to ``survivor`` from now on."""

    prior: int
    survivor: int


class Reverse(Struct, frozen=True):
    """``survivor``, which was merged into ``prior``, is the survivor from now on."""

    prior: int
    survivor: int


class Same(Struct, frozen=True):
    """They are one record already, or only this one is known; ``prior`` are records merged into it of which it says so.

    These remember that it was said again (:func:`said_again`), lest a word from between turn them round.
    """

    record: int
    prior: tuple[int, ...] = ()


class Rename(Struct, frozen=True):
    """Only the prior person is known, and goes on under other identifiers."""

    record: int


class Nobody(Struct, frozen=True):
    """Neither is known."""


class Late(Struct, frozen=True):
    """A newer merge said it the other way; ``record`` is who goes on."""

    record: int


class Unclear(Struct, frozen=True):
    """The identifiers are those of several people."""


Verdict: TypeAlias = Merge | Reverse | Same | Rename | Nobody | Late | Unclear
UNCLEAR: Final = Unclear()


def follow(record_id: int, onward: dict[int, int]) -> int:
    """Follow a chain of merges to its end. No chain is a ring: a merge always points at one that is not merged."""
    while record_id in onward:
        record_id = onward[record_id]
    return record_id


class Named(Struct, frozen=True):
    """The records that a merge's identifiers find, not yet followed to who goes on.

    ``local`` are those that the survivor's own organisation's identifiers find, ``shared`` those that national ones do:
    these two records of one person may well have in common.
    """

    prior: frozenset[int]
    local: frozenset[int]
    shared: frozenset[int]

    @property
    def after(self) -> frozenset[int]:
        """All that the survivor's identifiers find."""
        return self.local | self.shared


def judge(by: Named, people: Mapping[int, PatientRecord], at: int) -> Verdict:
    """Say what a merge comes to.

    ``people`` has all who are named and all that they lead to; ``at`` is the event's instant. Deleted people count as
    survivor for nobody, and as prior only where there is a survivor for them to point to.
    """
    prior = by.prior
    onward = {id_: p.standing.merged_into for id_, p in people.items() if p.standing.merged_into is not None}
    named = {id_ for id_ in by.after if not _deleted(people[follow(id_, onward)])}
    ends, goes_on = {follow(id_, onward) for id_ in prior}, {follow(id_, onward) for id_ in named}
    goes_on = goes_on - ends or goes_on
    ends = ends - goes_on or ends
    if not goes_on:
        ends = {id_ for id_ in ends if not _deleted(people[id_])}
    if len(ends) > 1 or len(goes_on) > 1:
        return UNCLEAR
    if not goes_on:
        return Rename(ends.pop()) if ends else Nobody()
    end = goes_on.pop()
    if not ends:
        return Same(end)
    if ends == {end}:
        return _within(end, prior, named & by.local or named, people, at)
    root = ends.pop()
    if root in prior:
        return Merge(root, end)
    return _moved({id_ for id_ in prior if follow(id_, onward) == root}, end, people, at)


def _within(
    end: int, prior: Collection[int], named: Collection[int], people: Mapping[int, PatientRecord], at: int
) -> Verdict:
    """Both are one person already: said again, or said the other way round."""
    if end not in prior or end in named:
        return Same(end, tuple(sorted(set(prior) - {end})))
    if len(named) > 1:
        return UNCLEAR
    [survivor] = named
    if at < people[survivor].demographics.ended_at:
        return Late(end)
    return Reverse(end, survivor)


def _moved(prior: set[int], end: int, people: Mapping[int, PatientRecord], at: int) -> Verdict:
    """The prior record was merged into somebody whom this message does not name."""
    if len(prior) > 1:
        return UNCLEAR
    record_id = prior.pop()
    return Late(end) if at < people[record_id].demographics.ended_at else Merge(record_id, end)


def _deleted(record: PatientRecord) -> bool:
    return record.standing.deleted_at is not None


def point(prior: PatientRecord, survivor: PatientRecord, at: int) -> tuple[PatientRecord, PatientRecord]:
    """Merge one into the other: both as they are from then on.

    Each keeps what it has. What stops contact goes over to the survivor as well: a report of death, an opt-out, a hold,
    an exclusion, and a flag of confidentiality where the survivor has none. An account does not: who could open the
    prior record has not shown that the survivor's is his, and merges are wrong at times.
    """
    ended = replace(
        prior,
        demographics=replace(prior.demographics, ended_at=max(at, prior.demographics.ended_at)),
        standing=replace(prior.standing, merged_into=survivor.id),
    )
    return ended, stopped_with(survivor, prior)


def stopped_with(record: PatientRecord, former: PatientRecord) -> PatientRecord:
    """Give the record with all that stops contact with the former one, whose place it has."""
    return replace(
        record,
        demographics=_warned(record.demographics, former.demographics),
        standing=_stopped(record.standing, former.standing),
    )


def said_again(prior: PatientRecord, at: int) -> PatientRecord:
    """Remember of an ended person when that was said last."""
    ended_at = max(at, prior.demographics.ended_at)
    return replace(prior, demographics=replace(prior.demographics, ended_at=ended_at))


def turn_round(prior: PatientRecord, survivor: PatientRecord, at: int) -> tuple[PatientRecord, PatientRecord]:
    """Merge the other way: ``survivor`` had been merged into ``prior``. If it was deleted since, it is back."""
    standing = replace(survivor.standing, merged_into=None, deleted_at=None)
    return point(prior, replace(survivor, standing=standing), at)


def _stopped(own: Standing, prior: Standing) -> Standing:
    return replace(
        own,
        opted_out_at=own.opted_out_at or prior.opted_out_at,
        hold=own.hold or prior.hold,
        exclusion=own.exclusion or prior.exclusion,
    )


def _warned(own: Demographics, prior: Demographics) -> Demographics:
    return replace(
        own,
        death=_either(own.death, prior.death),
        publicity=own.publicity or prior.publicity,
        protection=own.protection or prior.protection,
        vip=own.vip or prior.vip,
    )


def _either(own: Death | None, prior: Death | None) -> Death | None:
    if own is None or prior is None:
        return own or prior
    reports = {(one.organisation, one.sender): one for one in prior.reports + own.reports}
    return Death(tuple(reports.values()))

"""Carrying out what messages ask for, on the people of a batch: updates, merges, deletions, links (SPEC 3.5).

Every identifier finds one record, and records that were merged lead on to who goes on. So the first question is always
whom a message means:

* Identifiers that find a record which was merged away mean its survivor; they stay where they are, and never become the
  survivor's current ones again.
* Identifiers of a deleted person are free. Whoever is described under them is new, and takes them over.
* Identifiers of several people mean nobody for certain: the message is held, and nothing of it is applied.

A message with several PATIENT groups is applied whole or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import assert_never

from msgspec.structs import replace

from hl7_listener.acknowledgment import AckCode
from hl7_listener.decision import AMBIGUOUS, NOBODY_KNOWN, Decision, Done, held, ignored, lacking, unverified
from hl7_listener.options import ListenerOptions
from hl7_listener.people import People
from hl7_listener.person_event import (
    ChangeIdentifiers,
    DeletePerson,
    Group,
    LinkPeople,
    MentionPerson,
    MergePeople,
    PersonEvent,
)
from hl7_listener.two_sides import meant
from patient_records.effects import Act
from patient_records.merge import (
    Late,
    Merge,
    Nobody,
    Rename,
    Reverse,
    Same,
    Unclear,
    Verdict,
    point,
    said_again,
    stopped_with,
    turn_round,
)
from patient_records.reconcile import Outcome, reconcile
from patient_records.update import PatientUpdate

OTHERS_RECORD = "the record belongs to another organisation"
"""Why a merge or deletion waits, or is left alone: only the organisation that made a record ends it (SPEC 3.5)."""


class PersonActs:
    """Decides about messages in their order, each on what those before it left; made for one transaction."""

    def __init__(self, people: People, now: datetime, alive: Callable[[], None]) -> None:
        self._people = people
        self._now = now
        self._alive = alive

    # ---- updates: most of a feed -------------------------------------------------------------------------------------

    def apply(self, listener: ListenerOptions, update: PatientUpdate, blinds: Sequence[bytes]) -> Decision:
        """Make or update the person; ``blinds`` are the indexes of the update's identifiers, in their order."""
        refused = unverified(listener, update)
        if refused is not None:
            return refused
        people = self._people
        direct = {found for blind in blinds if (found := people.direct(blind)) is not None}
        if not direct:
            return self._reconcile(None, update, blinds)
        [record_id, *others] = direct
        if not others and people.stands(record_id):
            return self._reconcile(record_id, update, blinds)
        living, deleted = people.who(blinds)
        if len(living) > 1:
            return held(listener, AMBIGUOUS, update.findings)
        if living:
            return self._describe(living.pop(), update)
        return self._make_anew(update, deleted)

    def mention(self, listener: ListenerOptions, event: MentionPerson) -> Decision:
        """Update the person, who must be known."""
        blinds = [self._people.blind(identifier) for identifier in event.update.identifiers]
        living, _ = self._people.who(blinds)
        if not living:
            return ignored(NOBODY_KNOWN, event.update.findings)
        return self.apply(listener, event.update, blinds)

    def _describe(self, record_id: int | None, update: PatientUpdate) -> Decision:
        """Lay the update over this person (None: over nobody), whatever merges and deletions did to its identifiers."""
        people = self._people
        blinds = {one: people.blind(one) for one in update.identifiers + update.prior}
        free = [blind for blind in blinds.values() if people.deleted(blind)]
        own = {None, record_id}
        mine = [i for i, blind in blinds.items() if people.direct(blind) in own or blind in free]
        findings = update.findings
        if not set(update.identifiers) <= set(mine):
            findings += ("identifier_merged_away:PID-3",)
        update = replace(
            update,
            identifiers=tuple(i for i in update.identifiers if i in mine),
            prior=tuple(i for i in update.prior if i in mine),
            findings=findings,
        )
        mark = people.mark() if free else None
        people.take(dict.fromkeys(free))
        decision = self._reconcile(record_id, update, [blinds[i] for i in update.identifiers + update.prior])
        if mark is not None and decision.record_id is None:
            people.back(mark)
        return decision

    def _make_anew(self, update: PatientUpdate, deleted: Collection[int]) -> Decision:
        """Make the person anew whom an earlier event deleted; an event from before that is late.

        What stopped contact still stops it: to be deleted and made again is no way to be written to after all.
        """
        ended = {old: self._people.record(old).demographics.ended_at for old in deleted}
        latest = max(ended, key=ended.__getitem__)
        if update.event_at < ended[latest]:
            return Decision(Outcome.STALE, AckCode.AA, "deleted since", latest, findings=update.findings)
        decision = self._describe(None, update)
        new = decision.record_id
        if new is None:
            return decision
        for old in deleted:
            if self._ours(update, old):
                stopped = stopped_with(self._people.record(new), self._people.record(old))
                self._people.put(new, stopped.demographics, stopped.standing)
        if update.death is not None:
            self._describe(new, update)  # who reported the death may take it back with this very message
        made = [Done(new, Act.MADE_ANEW, old) for old in sorted(deleted)]
        gone = [Done(old, Act.REPLACED, new) for old in sorted(deleted)]
        return replace(decision, done=(*made, *gone))

    def _reconcile(self, record_id: int | None, update: PatientUpdate, blinds: Sequence[bytes]) -> Decision:
        """Lay the update over the record; ``blinds`` are those of its identifiers, then of its prior ones."""
        people = self._people
        result = reconcile(None if record_id is None else people.record(record_id), update)
        findings = update.findings + result.findings
        if result.demographics is None:
            return lacking(result.missing, findings)
        if record_id is None:
            record_id = people.make(update.organisation, result.demographics)
        else:
            people.put(record_id, result.demographics)
        # Another organisation's message does not bring all of its identifiers.
        held_now = {*result.demographics.identifiers, *result.demographics.aliases}
        named = zip(update.identifiers + update.prior, blinds, strict=True)
        people.finds((blind for identifier, blind in named if identifier in held_now), record_id)
        return Decision(result.outcome, AckCode.AA, record_id=record_id, changes=result.changes, findings=findings)

    # ---- two people --------------------------------------------------------------------------------------------------

    def merge(self, listener: ListenerOptions, event: MergePeople) -> Decision:
        """Merge the people of each group."""
        return self._each(listener, event.groups, merges=True)

    def change_identifiers(self, listener: ListenerOptions, event: ChangeIdentifiers) -> Decision:
        """Give the person of each group other identifiers."""
        return self._each(listener, event.groups, merges=False)

    def _each(self, listener: ListenerOptions, groups: Sequence[Group], *, merges: bool) -> Decision:
        mark = self._people.mark() if len(groups) > 1 else None
        decisions: list[Decision] = []
        for group in groups:
            decision = self._group(listener, group, merges=merges)
            self._alive()
            if decision.outcome in {Outcome.HELD, Outcome.REJECTED}:
                if mark is not None:
                    self._people.back(mark)
                return decision
            decisions.append(decision)
        return decisions[0] if len(decisions) == 1 else _together(decisions)

    def _group(self, listener: ListenerOptions, group: Group, *, merges: bool) -> Decision:
        said = meant(self._people, group, merges=merges)
        refused = unverified(listener, said.update)
        if refused is not None:
            return refused
        if said.verdict is None:
            return held(listener, "prior identifier without authority", said.update.findings)
        return self._carry_out(listener, said.verdict, said.update, merges=merges)

    def _carry_out(
        self, listener: ListenerOptions, verdict: Verdict, update: PatientUpdate, *, merges: bool
    ) -> Decision:
        match verdict:
            case Merge(prior, survivor) | Reverse(prior, survivor):
                if merges:
                    return self._join(listener, prior, survivor, update, turned_round=isinstance(verdict, Reverse))
                reason = "the new identifier is another person's"
                same = isinstance(verdict, Reverse)
                decision = self._describe(prior, update) if same else held(listener, reason, update.findings)
            case Same(record_id, again):
                self._said_again((id_ for id_ in again if self._ours(update, id_)), update.event_at)
                decision = self._describe(record_id, update)
            case Late(record_id):
                decision = self._describe(record_id, update)
                decision = replace(decision, outcome=Outcome.STALE, reason="merged otherwise since")
            case Rename(record_id):
                decision = self._rename(listener, record_id, update)
            case Nobody():
                decision = self._make(update)
            case Unclear():
                decision = held(listener, AMBIGUOUS, update.findings)
            case _:
                assert_never(verdict)
        return decision

    def _said_again(self, record_ids: Iterable[int], at: int) -> None:
        for record_id in record_ids:
            self._people.put(record_id, said_again(self._people.record(record_id), at).demographics)

    def _make(self, update: PatientUpdate) -> Decision:
        """Make the person whom a merge describes and nobody knows, under the prior identifiers as well."""
        _, deleted = self._people.who(self._people.blind(one) for one in update.identifiers + update.prior)
        decision = self._make_anew(update, deleted) if deleted else self._describe(None, update)
        return ignored(NOBODY_KNOWN, update.findings) if decision.record_id is None else decision

    def _rename(self, listener: ListenerOptions, record_id: int, update: PatientUpdate) -> Decision:
        if not self._ours(update, record_id):
            return held(listener, OTHERS_RECORD, update.findings)
        return replace(self._describe(record_id, update), done=(Done(record_id, Act.IDENTIFIER_CHANGED),))

    def _join(
        self, listener: ListenerOptions, prior: int, survivor: int, update: PatientUpdate, *, turned_round: bool
    ) -> Decision:
        people = self._people
        if not self._ours(update, prior, survivor):
            return held(listener, OTHERS_RECORD, update.findings)
        how = turn_round if turned_round else point
        ended, goes_on = how(people.record(prior), people.record(survivor), update.event_at)
        people.put(prior, ended.demographics, ended.standing)
        people.put(survivor, goes_on.demographics, goes_on.standing)
        if ended.standing.registered_at is not None:
            update = replace(update, findings=(*update.findings, "prior_registered:MRG-1"))
        decision = self._describe(survivor, update)
        into, from_ = (Act.REVERSED_INTO, Act.REVERSED_FROM) if turned_round else (Act.MERGED_INTO, Act.MERGED_FROM)
        done = (Done(prior, into, survivor), Done(survivor, from_, prior))
        # Its PID may be older than what is stored; the merge itself is applied whenever it comes.
        return replace(decision, outcome=Outcome.APPLIED, changes=("merged", *decision.changes), done=done)

    def _ours(self, update: PatientUpdate, *record_ids: int) -> bool:
        return all(self._people.record(id_).organisation == update.organisation for id_ in record_ids)

    # ---- deletions and links -----------------------------------------------------------------------------------------

    def delete(self, listener: ListenerOptions, event: DeletePerson) -> Decision:
        """Delete the person: kept, and never written to again.

        Who names only a record that was merged away means that one, not its survivor: systems tidy up after a merge.
        """
        update, people = event.update, self._people
        means = self._meant(update)
        if not means:
            return ignored(NOBODY_KNOWN, update.findings)
        aimed = [id_ for id_ in means if people.record(id_).standing.deleted_at is None]
        if len(aimed) > 1:
            return held(listener, AMBIGUOUS, update.findings)
        if not aimed:
            self._said_again((id_ for id_ in means if self._ours(update, id_)), update.event_at)
            return Decision(Outcome.APPLIED, AckCode.AA, "deleted already", means[0], findings=update.findings)
        [record_id] = aimed
        if not self._ours(update, record_id):
            return ignored(OTHERS_RECORD, update.findings)
        record = people.record(record_id)
        ended_at = max(update.event_at, record.demographics.ended_at)
        standing = replace(record.standing, deleted_at=self._now)
        people.put(record_id, replace(record.demographics, ended_at=ended_at), standing)
        done = (Done(record_id, Act.DELETED),)
        return Decision(Outcome.APPLIED, AckCode.AA, "", record_id, ("deleted",), update.findings, done=done)

    def _meant(self, update: PatientUpdate) -> list[int]:
        """The records that a deletion names: those not merged away, if there are any.

        Where all of the organisation's own identifiers find merged records, a national number beside them that finds
        the survivor says no more than who that person is.
        """
        people = self._people
        found = [(one, id_) for one in update.identifiers if (id_ := people.direct(people.blind(one))) is not None]
        direct = {id_ for _, id_ in found}
        own = {id_ for one, id_ in found if not one.national}
        roots = {id_ for id_ in direct if people.record(id_).standing.merged_into is None}
        if own and not own & roots and roots == {people.survivor(id_) for id_ in own}:
            return sorted(own)
        return sorted(roots or direct)

    def link(self, listener: ListenerOptions, event: LinkPeople) -> Decision:
        """Note that two records are linked, or no longer; a merge is not undone by it."""
        one, one_unclear = self._only(event.one)
        other, other_unclear = self._only(event.other)
        findings = event.one.findings + event.other.findings
        if one_unclear or other_unclear:
            return held(listener, AMBIGUOUS, findings)
        if one is None or other is None:
            return ignored(NOBODY_KNOWN, findings)
        if one == other:
            reason = "the two are one record here"
            return ignored(reason, findings) if event.linked else held(listener, reason, findings)
        act = Act.LINKED if event.linked else Act.UNLINKED
        done = (Done(one, act, other), Done(other, act, one))
        return Decision(Outcome.APPLIED, AckCode.AA, "", one, (act.value,), findings, done=done)

    def _only(self, update: PatientUpdate) -> tuple[int | None, bool]:
        """The one living person whom an update means, if any; and whether it means several."""
        living, _ = self._people.who(self._people.blind(one) for one in update.identifiers)
        return (living.pop() if len(living) == 1 else None), len(living) > 1

    def event(self, listener: ListenerOptions, event: PersonEvent) -> Decision:
        """Carry out any person event."""
        match event:
            case MergePeople():
                return self.merge(listener, event)
            case ChangeIdentifiers():
                return self.change_identifiers(listener, event)
            case DeletePerson():
                return self.delete(listener, event)
            case LinkPeople():
                return self.link(listener, event)
            case MentionPerson():
                return self.mention(listener, event)
            case _:
                assert_never(event)


def _together(decisions: Sequence[Decision]) -> Decision:
    """One decision for a message of several groups, all of which are carried out."""
    outcomes = [decision.outcome for decision in decisions]
    records = {decision.record_id for decision in decisions}
    return Decision(
        Outcome.APPLIED if Outcome.APPLIED in outcomes else outcomes[0],
        AckCode.AA,
        next((decision.reason for decision in decisions if decision.reason), ""),
        records.pop() if len(records) == 1 else None,
        tuple(dict.fromkeys(change for decision in decisions for change in decision.changes)),
        tuple(dict.fromkeys(finding for decision in decisions for finding in decision.findings)),
        done=tuple(done for decision in decisions for done in decision.done),
    )

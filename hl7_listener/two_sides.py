"""Whom the two sides of a PATIENT group mean, and by which of its fields (SPEC 3.5: merges, changes of identifiers).

A39 and A46 name people by PID-2 and MRG-4. Most senders fill PID-3 and MRG-1 beside them, by which most people are
known; and what stands in the other two may be anything: an index's number that nobody knows here, the same NHS number
on both sides, or a number that is known on one side alone. Taken at its word, such a pair tells nothing of two people,
and the merge would be acknowledged and not carried out. So it counts where it tells who is meant, else the lists do if
they tell; and what tells nothing is never mixed: PID-2 is no partner of MRG-1.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from hl7_listener.people import People
from hl7_listener.person_event import Group, Prior
from patient_records.merge import Named, Nobody, Verdict, judge
from patient_records.model import Identifier, Masked
from patient_records.update import PatientUpdate


class Meant(Masked, Struct, frozen=True):
    """What a group says: the update with the prior identifiers as they are believed, whom both find, and the verdict.

    ``verdict`` None: a prior identifier could be several things, so nothing is believed.
    """

    update: PatientUpdate
    named: Named
    verdict: Verdict | None

    def tells(self, *, merges: bool) -> bool:
        """Whether it says who is meant: who was there before, and for a merge two who are not one record already."""
        if not self.finds:
            return False
        prior, after = self.named.prior, self.named.after
        return bool(prior) and bool(after or not merges) and prior != after

    @property
    def finds(self) -> bool:
        """Whether anybody is known by it."""
        return self.verdict is not None and not isinstance(self.verdict, Nobody)


def meant(people: People, group: Group, *, merges: bool) -> Meant:
    """Say whom a group means; where it can be read by two pairs of fields, by those that tell."""
    first = _read(people, group)
    if group.otherwise is None or first.tells(merges=merges):
        return first
    lists = _read(people, group.otherwise)
    if lists.tells(merges=merges):
        return lists
    if first.finds and first.named.prior != first.named.after:  # one side is known: better than nothing
        return first
    return lists if lists.finds or isinstance(first.verdict, Nobody) else first


def _read(people: People, group: Group) -> Meant:
    prior = _believed(people, group.priors)
    if prior is None:
        return Meant(group.update, Named(frozenset(), frozenset(), frozenset()), None)
    update = replace(group.update, prior=prior)
    named = _named(people, update)
    around = people.around(named.prior | named.after)
    return Meant(update, named, judge(named, around, update.event_at))


def _believed(people: People, priors: Sequence[Prior]) -> tuple[Identifier, ...] | None:
    """What each prior identifier is: as written where that finds somebody, else the one thing that it can mean."""
    believed = []
    for prior in priors:
        if prior.meant and people.direct(people.blind(prior.written)) is None:
            known = [one for one in prior.meant if people.direct(people.blind(one)) is not None]
            likely = known if prior.written.authority else prior.meant
            if len(likely) > 1:
                return None
            believed.append(likely[0] if likely else prior.meant[0])
        else:
            believed.append(prior.written)
    return tuple(dict.fromkeys(believed))


def _named(people: People, update: PatientUpdate) -> Named:
    """Whom the identifiers on each side find. Those on both sides tell the two apart no better than nothing."""
    after = {people.blind(one): one for one in update.identifiers}
    prior = {people.blind(one): one for one in update.prior}
    only_after = {blind: one for blind, one in after.items() if blind not in prior} or after
    only_prior = {blind: one for blind, one in prior.items() if blind not in after} or prior
    found = {blind: people.direct(blind) for blind in (*only_after, *only_prior)}
    local = (found[blind] for blind, one in only_after.items() if not one.national)
    shared = (found[blind] for blind, one in only_after.items() if one.national)
    return Named(
        frozenset(id_ for blind in only_prior if (id_ := found[blind]) is not None),
        frozenset(id_ for id_ in local if id_ is not None),
        frozenset(id_ for id_ in shared if id_ is not None),
    )

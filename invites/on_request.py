"""A pair for a person who is asked for by name: by a hospital's system over the API, or at its front desk (SPEC 7).

One transaction, the caller's: the records are locked, judged as they are then, and each gets a new pair or a refusal.
Older pairs live on; nothing is sent, and no invitation is made. Two calls at once give two good pairs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites.access_token import AccessToken
from invites.legible import legible
from invites.mint import Mint
from invites.options import InviteOptions
from invites.refusal import Refusal, judge
from invites.tables import outbox
from patient_records.audit import Actor, AuditEntry
from patient_records.audit_actions import Action, DetailValue
from patient_records.bulk import BulkSelect
from patient_records.errors import StorageConflict
from patient_records.lineage import survivors_of
from patient_records.model import Masked
from patient_records.repository import OpenRecord, Records

_EMAILED: Final = BulkSelect(
    outbox,
    ("record_id",),
    "record_id",
    only="channel = 'email' AND state = 'accepted' AND invitation_id IS NOT NULL",
)

_TELL_NOTHING: Final = frozenset({Refusal.NOT_FOUND, Refusal.ORGANISATION, Refusal.DOES_NOT_OPEN})


class Issued(Masked, Struct, frozen=True):
    """A new pair and the person it is for; ``emailed`` says whether an email invitation was really sent before."""

    record_id: int
    public_id: str
    token_id: int
    pair: AccessToken
    expires_at: datetime
    emailed: bool


class Refused(Struct, frozen=True):
    """No pair, and why. ``record_id`` is None where nobody was found."""

    refusal: Refusal
    record_id: int | None = None


class Known(Struct, frozen=True):
    """What one may ask of a person without getting a pair; ``refusal`` is what a request for one would get now."""

    record_id: int
    registered: bool
    deceased: bool
    emailed: bool
    refusal: Refusal | None


class OnRequest:
    """Issues pairs on request, and says how people stand."""

    def __init__(self, records: Records, mint: Mint, options: InviteOptions) -> None:
        self._records = records
        self._mint = mint
        self._options = options

    def issue(
        self, connection: Connection, ids: Sequence[int | None], *, organisation: str, origin: str, now: datetime
    ) -> list[Issued | Refused]:
        """Give a new pair, or a refusal, for each of these records, in their order; None stands for nobody found.

        ``organisation`` is whose rights the caller has, ``origin`` one of the words in :mod:`invites.mint`. An id that
        was merged away answers for its survivor. Raises StorageConflict when a merge came in between: do it again.
        """
        opened = self._opened(connection, ids, lock=True)
        judged = [self._judged(opened, id_, organisation, now) for id_ in ids]
        people = [said for said in judged if isinstance(said, OpenRecord)]
        minted = iter(self._mint.pairs(connection, people, origin, now))
        emailed = emailed_among(connection, [person.record.id for person in people])
        answers: list[Issued | Refused] = []
        for said in judged:
            if isinstance(said, Refused):
                answers.append(said)
                continue
            made, record = next(minted), said.record
            invited = record.id in emailed
            answers.append(Issued(record.id, record.public_id, made.token_id, made.pair, made.expires_at, invited))
        return answers

    def look(
        self, connection: Connection, ids: Sequence[int | None], *, organisation: str, now: datetime
    ) -> list[Known | Refused]:
        """Say how each of these people stands. Of another organisation's no more than that: Refused."""
        opened = self._opened(connection, ids, lock=False)
        emailed = emailed_among(connection, [person.record.id for person in opened.values() if person is not None])
        return [self._known(opened, id_, organisation, emailed, now) for id_ in ids]

    def _opened(self, connection: Connection, ids: Sequence[int | None], *, lock: bool) -> dict[int, OpenRecord | None]:
        """Each record by the id that was asked for; None where it is there and does not open."""
        wanted = survivors_of(connection, {id_ for id_ in ids if id_ is not None})
        load = partial(self._records.load, lock=lock)
        opened = legible(load, connection, set(wanted.values()))
        if any(person.record.standing.merged_into is not None for person in opened.values()):
            raise StorageConflict("merged")
        return {id_: opened.get(survivor) for id_, survivor in wanted.items()}

    def _judged(
        self, opened: dict[int, OpenRecord | None], id_: int | None, organisation: str, now: datetime
    ) -> OpenRecord | Refused:
        if id_ is None:
            return Refused(Refusal.NOT_FOUND)
        person = opened[id_]
        if person is None:
            return Refused(Refusal.DOES_NOT_OPEN, id_)
        refusal = judge(person.record, organisation, self._options.policy, self._options.today(now))
        return person if refusal is None else Refused(refusal, person.record.id)

    def _known(
        self,
        opened: dict[int, OpenRecord | None],
        id_: int | None,
        organisation: str,
        emailed: Collection[int],
        now: datetime,
    ) -> Known | Refused:
        said = self._judged(opened, id_, organisation, now)
        if isinstance(said, Refused) and said.refusal in _TELL_NOTHING:
            return said
        person = opened[id_] if id_ is not None else None
        if person is None:
            raise AssertionError("who is not there was refused above")
        record = person.record
        return Known(
            record_id=record.id,
            registered=record.standing.registered_at is not None,
            deceased=record.demographics.death is not None,
            emailed=record.id in emailed,
            refusal=said.refusal if isinstance(said, Refused) else None,
        )


def trail_of(
    answers: Iterable[Issued | Refused], actor: Actor, organisation: str, **detail: DetailValue
) -> list[AuditEntry]:
    """What the audit trail is to say of these answers; whoever asked for pairs writes it in the same transaction."""
    entries = []
    for answer in answers:
        issued = isinstance(answer, Issued)
        told = {"pair": answer.token_id} if isinstance(answer, Issued) else {"reason": answer.refusal.value}
        action = Action.PAIR_ISSUED if issued else Action.PAIR_REFUSED
        entries.append(AuditEntry(actor, action, organisation, answer.record_id, {**detail, **told}))
    return entries


def emailed_among(connection: Connection, ids: Collection[int]) -> set[int]:
    """Those of these records of whom a provider really took an email invitation."""
    return {record_id for (record_id,) in _EMAILED.run(connection, set(ids))}

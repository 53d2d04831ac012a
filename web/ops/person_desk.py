"""What a coordinator sees and does of one person: each call is one transaction with its entry in the audit trail.

A person is theirs when their organisation made the record. Everybody else's is not found, wherever a page is asked for
by its id; only the search tells that there is such a person elsewhere, as the hospital's own API does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from sqlalchemy import Connection, select

from invites import pairs, sendings
from invites.accounts import lockouts
from invites.channels.channel import Refused as Unprintable
from invites.channels.channel import Request as Letter
from invites.front_desk import CannotSplit
from invites.on_request import Issued
from invites.on_request import Refused as NoPair
from invites.pairs import PairStory
from invites.refusal import Refusal
from invites.sendings import Sending
from patient_records.audit import AuditEntry, WrittenEntry
from patient_records.audit_actions import Action, DetailValue
from patient_records.decisions import Decider, Decision, Ground, Verdict
from patient_records.limits import Exceeded
from patient_records.lineage import survivor_of
from patient_records.model import Masked, PatientRecord
from patient_records.public_ids import record_of
from patient_records.repository import OpenRecord
from patient_records.tables import patient_records
from web.ops import accounts
from web.ops.accounts import StaffAccount
from web.ops.desk import OpsDesk, Timeline

_HISTORY = 50


class NotFound(StrEnum):
    """Why a search leads to nobody."""

    NOBODY = "nobody"
    ELSEWHERE = "elsewhere"
    DELETED = "deleted"


class PersonView(Masked, Struct, frozen=True):
    """Everything that the person's page shows.

    ``refusal`` is why no pair would be issued now, ``channels`` by which the person can be reached, ``locked`` says for
    how long too many wrong answers keep even right ones out, and ``locked_login`` the same of passwords; ``history`` is
    what staff and systems did, ``names`` who the staff in it are.
    """

    record: PatientRecord
    story: Timeline
    pairs: Sequence[PairStory]
    sendings: Sequence[Sending]
    channels: Sequence[str]
    refusal: Refusal | None
    locked: Exceeded | None
    locked_login: Exceeded | None
    history: Sequence[WrittenEntry]
    names: dict[str, str]
    now: datetime


class Printed(Masked, Struct, frozen=True):
    """A pair and the letter that hands it over."""

    issued: Issued
    letter: Letter


class PersonDesk:
    """Does what the pages of a person ask for. All of it blocks: for a thread."""

    def __init__(self, desk: OpsDesk) -> None:
        self._desk = desk

    def find(self, account: StaffAccount, text: str) -> str | NotFound:
        """The public id of the person that an identifier finds, or why not. A miss is told to the audit trail, too."""

        def work(connection: Connection, now: datetime) -> str | NotFound:
            record_id = self._desk.find(connection, text)
            found = self._standing(connection, account, record_id)
            if isinstance(found, NotFound):
                self._tell(connection, account, Action.RECORD_NOT_FOUND, None, now, reason=found.value)
            return found

        return self._desk.transact(work)

    def view(self, account: StaffAccount, public_id: str) -> PersonView | None:
        """The person's page; that it was looked at is written down before anything is read."""

        def note(connection: Connection, now: datetime) -> int | None:
            record_id = self._theirs(connection, account, public_id)
            if record_id is not None:
                self._tell(connection, account, Action.RECORD_VIEWED, record_id, now)
            return record_id

        record_id = self._desk.transact(note)
        if record_id is None:
            return None
        return self._desk.look(lambda connection, now: self._view(connection, account, record_id, now))

    def issue(self, account: StaffAccount, public_id: str) -> Issued | NoPair | None:
        """A pair to be shown on the screen."""

        def work(connection: Connection, now: datetime) -> Issued | NoPair | None:
            record_id = self._theirs(connection, account, public_id)
            if record_id is None:
                return None
            said = self._desk.front_desk.issue(connection, record_id, account.organisation, now)
            self._tell_issued(connection, account, said, record_id, now, by="screen")
            return said

        return self._desk.transact(work)

    def print(self, account: StaffAccount, public_id: str) -> Printed | NoPair | Unprintable | None:
        """A pair as a letter. Set after the pair is committed; one that cannot be printed ends its pair at once."""
        person = self._opened(account, public_id)
        said = self.issue(account, public_id) if person is not None else None
        if person is None or not isinstance(said, Issued):
            return said if isinstance(said, NoPair) else None
        letter = self._desk.look(lambda _connection, now: self._desk.front_desk.letter(person.record, said, now))
        if isinstance(letter, Unprintable):
            self._desk.transact(lambda c, now: self._revoke(c, account, said.record_id, [said.token_id], now))
            return letter
        self._desk.transact(
            lambda c, now: self._tell(c, account, Action.LETTER_PRINTED, said.record_id, now, pair=said.token_id)
        )
        return Printed(said, letter)

    def split(self, account: StaffAccount, public_id: str, by: tuple[str, str]) -> Issued | NoPair | CannotSplit | None:
        """A pair by two channels: the code by the first, the token by the second."""

        def work(connection: Connection, now: datetime) -> Issued | NoPair | CannotSplit | None:
            record_id = self._theirs(connection, account, public_id)
            if record_id is None:
                return None
            said = self._desk.front_desk.split(connection, record_id, account.organisation, by, now)
            if not isinstance(said, CannotSplit):
                self._tell_issued(connection, account, said, record_id, now, by="outbox", split=True)
            return said

        return self._desk.transact(work)

    def revoke(self, account: StaffAccount, public_id: str, pair_ids: Sequence[int] | None) -> int | None:
        """End these pairs (all that live, for None); gives how many."""

        def work(connection: Connection, now: datetime) -> int | None:
            record_id = self._theirs(connection, account, public_id)
            return None if record_id is None else self._revoke(connection, account, record_id, pair_ids, now)

        return self._desk.transact(work)

    def unlock(self, account: StaffAccount, public_id: str) -> bool | None:
        """Let the person try again at once; gives whether they were locked. The desk saw who they are."""

        def work(connection: Connection, now: datetime) -> bool | None:
            record_id = self._theirs(connection, account, public_id)
            if record_id is None:
                return None
            opened = self._desk.records.load(connection, [record_id])[record_id]
            limits = self._desk.limits
            by_answers = lockouts.locked_person(connection, limits, record_id, now)
            if by_answers is None and lockouts.locked_login(connection, limits, opened, now) is None:
                return False
            lockouts.lift(connection, limits, opened)
            self._tell(connection, account, Action.LOCKOUT_LIFTED, record_id, now)
            return True

        return self._desk.transact(work)

    def close(self, account: StaffAccount, public_id: str) -> bool | None:
        """Close the person's own account, so that they can register anew; gives whether there was one."""

        def work(connection: Connection, now: datetime) -> bool | None:
            record_id = self._theirs(connection, account, public_id)
            return None if record_id is None else self._desk.closing(connection, record_id, account.actor, now)

        return self._desk.transact(work)

    def decide(self, account: StaffAccount, public_id: str, decision: Decision, ground: Ground | None) -> Verdict:
        """Hold, release, exclude, include, opt out or in."""

        def work(connection: Connection, now: datetime) -> Verdict:
            record_id = self._theirs(connection, account, public_id)
            if record_id is None:
                return Verdict.NOT_FOUND
            by = Decider(account.actor, account.organisation)
            return self._desk.decisions.decide(connection, record_id, decision, by, now, ground=ground)

        return self._desk.transact(work)

    def _view(self, connection: Connection, account: StaffAccount, record_id: int, now: datetime) -> PersonView | None:
        opened = self._desk.records.load(connection, [record_id]).get(record_id)
        if opened is None:
            return None
        [known] = self._desk.on_request.look(connection, [record_id], organisation=account.organisation, now=now)
        return PersonView(
            record=opened.record,
            story=self._desk.tell(connection, record_id),
            pairs=pairs.of_record(connection, record_id),
            sendings=sendings.of_record(connection, record_id),
            channels=self._desk.front_desk.channels(connection, opened.record),
            refusal=known.refusal,
            locked=lockouts.locked_person(connection, self._desk.limits, record_id, now),
            locked_login=lockouts.locked_login(connection, self._desk.limits, opened, now),
            history=self._desk.trail.entries(connection, limit=_HISTORY, record_id=record_id),
            names={str(one.id): one.login for one in accounts.every(connection, account.organisation)},
            now=now,
        )

    def _opened(self, account: StaffAccount, public_id: str) -> OpenRecord | None:
        def work(connection: Connection, _now: datetime) -> OpenRecord | None:
            record_id = self._theirs(connection, account, public_id)
            return None if record_id is None else self._desk.records.load(connection, [record_id]).get(record_id)

        return self._desk.look(work)

    def _revoke(
        self,
        connection: Connection,
        account: StaffAccount,
        record_id: int,
        pair_ids: Sequence[int] | None,
        now: datetime,
    ) -> int:
        opened = self._desk.records.load(connection, [record_id], lock=True)[record_id]
        ended = pairs.revoke(connection, opened.record, self._desk.options, now, pair_ids)
        if ended:
            self._tell(connection, account, Action.PAIRS_REVOKED, record_id, now, count=len(ended))
        return len(ended)

    def _theirs(self, connection: Connection, account: StaffAccount, public_id: str) -> int | None:
        """The record of that public id, where it is one of the coordinator's organisation."""
        record_id = record_of(connection, public_id)
        found = self._standing(connection, account, record_id)
        return None if isinstance(found, NotFound) or record_id is None else survivor_of(connection, record_id)

    def _standing(self, connection: Connection, account: StaffAccount, record_id: int | None) -> str | NotFound:
        if record_id is None:
            return NotFound.NOBODY
        c = patient_records.c
        row = connection.execute(
            select(c.public_id, c.organisation, c.deleted_at).where(c.id == survivor_of(connection, record_id))
        ).one()
        if row.organisation != account.organisation:
            return NotFound.ELSEWHERE
        return NotFound.DELETED if row.deleted_at is not None else str(row.public_id)

    def _tell_issued(
        self,
        connection: Connection,
        account: StaffAccount,
        said: Issued | NoPair,
        record_id: int,
        now: datetime,
        **detail: DetailValue,
    ) -> None:
        if isinstance(said, Issued):
            self._tell(connection, account, Action.PAIR_ISSUED, record_id, now, pair=said.token_id, **detail)
        else:
            self._tell(connection, account, Action.PAIR_REFUSED, record_id, now, reason=said.refusal.value)

    def _tell(
        self,
        connection: Connection,
        account: StaffAccount,
        action: Action,
        record_id: int | None,
        now: datetime,
        **detail: DetailValue,
    ) -> None:
        entry = AuditEntry(account.actor, action, account.organisation, record_id, detail)
        self._desk.trail.append(connection, [entry], now)

"""Whether a pair and a date of birth open a record: the same work whatever is wrong (SPEC 8).

The record is opened with code, token and pepper, and **without the organisation key**: what a pair opens, it opens by
itself. What can be wrong (the code is unknown; the pair expired, ended or was spent; the token is another's; the person
died, was deleted or merged, is on hold, is registered already; the date is another) is one answer to the person, so it
must be one amount of work: the same statements in the same order, the same derivations, and one commit. Where there is
no row to work on, the statements name a row that cannot exist, and what is opened is a decoy, made at the start.

A try is counted before anything is looked at, and taken back when it was right: a hundred tries at once, each in a
transaction of its own, are not a hundred guesses.

What is left is below a guesser's reach: the right date of a pair that has ended and the wrong one of a good one differ
by no statement; the fifth wrong date costs one line of the audit trail more, for a pair that ended with it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, Row, case, null, select, update

from invites.access_token import SALT_BYTES, AccessToken, lookup, unwrap
from invites.accounts.limits import WRONG_BY_ADDRESS, WRONG_BY_RECORD, WRONG_DATES
from invites.accounts.pairs import end_invitations_of_token
from invites.eligibility import Ineligible, Reason, assess
from invites.errors import AccessTokenDoesNotOpen
from invites.options import InviteOptions
from invites.tables import access_tokens
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.errors import SealBroken
from patient_records.instants import to_micros
from patient_records.keys import KeyRing
from patient_records.limits import Exceeded, Limit, Limits
from patient_records.model import BirthDate, Demographics, Masked, PatientRecord, PersonName, Standing
from patient_records.repository import OpenRecord, Records, StoredRecord
from patient_records.sealing import KEY_BYTES, SealingKey

WRONG_DATES_REASON: Final = "wrong_dates"
"""Why a pair ended that was tried with too many wrong dates."""

DISOWNED: Final = "disowned"
"""Why a pair ended whose holder said that it is not theirs."""

NOBODY: Final = -1
"""A row id that no row has: ids are positive."""

HARMLESS: Final = frozenset({Reason.INVITED, Reason.OUTSIDE_COHORT, Reason.NO_CONTACT, Reason.UNDELIVERABLE})
"""Reasons that keep a person from being invited and not from using what they have."""

_T: Final = access_tokens.c
_COLUMNS: Final = (
    _T.id, _T.record_id, _T.organisation, _T.pepper_id, _T.salt, _T.wrapped_key, _T.expires_at,
    _T.ended_at, _T.wrong_answers,
)  # fmt: skip


class Proven(Masked, Struct, frozen=True):
    """Somebody who holds a pair and knows the date: the record as the pair opened it, and which pair that was."""

    opened: OpenRecord
    token_id: int


class Challenge:
    """Answers the challenge. One object serves any number of threads."""

    def __init__(
        self,
        records: Records,
        ring: KeyRing,
        options: InviteOptions,
        *,
        limits: Limits,
        audit: AuditTrail,
        random_bytes: Callable[[int], bytes],
        heard: Callable[[str, bool], None] = lambda _organisation, _passed: None,
    ) -> None:
        """``heard`` is told of each answer to a good pair: whose pair, and whether the date was right."""
        self._records = records
        self._ring = ring
        self._options = options
        self._limits = limits
        self._audit = audit
        self._heard = heard
        self._decoy = _Decoy(random_bytes)

    def __call__(
        self, connection: Connection, pair: AccessToken, born: date | None, address: str, now: datetime
    ) -> Proven | Exceeded | None:
        """Open the record with that pair and date; None whatever is wrong with either.

        ``address`` is the network address that it comes from; Exceeded says that too many wrong answers came from
        there, and nothing was looked at. ``born`` None is a date that no calendar has: a wrong one.
        """
        exceeded = self._count(connection, WRONG_BY_ADDRESS, address, now)
        if exceeded is not None:
            return exceeded
        row = self._find(connection, pair)
        subject = str(row.record_id) if row is not None else lookup(pair.code, self._decoy.pepper).hex()
        too_many = self._limits.take(connection, WRONG_BY_RECORD, subject, now)
        stored = self._records.row(connection, row.record_id if row is not None else NOBODY, lock=True)
        row = self._again(connection, row)
        opened = self._opened(row, stored, pair)
        right = _same_day(opened.record if opened is not None else self._decoy.record, born)
        alive = opened is not None and row is not None and self._alive(row, opened.record, now)
        if opened is not None and row is not None and alive and right and too_many is None:
            self._heard(row.organisation, True)
            self._limits.give_back(connection, WRONG_BY_ADDRESS, address, now)
            self._limits.give_back(connection, WRONG_BY_RECORD, subject, now)
            return Proven(opened, row.id)
        guessed = row.id if row is not None and opened is not None and alive and not right else NOBODY
        if row is not None and guessed == row.id:
            self._heard(row.organisation, False)
        self._count_wrong(connection, row, guessed, now)
        return None

    def disown(self, connection: Connection, pair: AccessToken, address: str, now: datetime) -> Exceeded | None:
        """End a pair whose holder says "this is not me"; the same work and no answer, whether there is such a pair."""
        exceeded = self._count(connection, WRONG_BY_ADDRESS, address, now)
        if exceeded is not None:
            return exceeded
        row = self._find(connection, pair)
        stored = self._records.row(connection, row.record_id if row is not None else NOBODY, lock=True)
        row = self._again(connection, row)
        opened = self._opened(row, stored, pair)
        mine = row.id if row is not None and opened is not None else NOBODY
        ended = {"ended_at": to_micros(now), "end_reason": DISOWNED, "wrapped_key": None}
        connection.execute(update(access_tokens).where(_T.id == mine, _T.ended_at.is_(None)).values(**ended))
        if opened is not None and row is not None and row.ended_at is None:
            end_invitations_of_token(connection, row.record_id, row.id, DISOWNED, now)
            self._tell(connection, Action.PAIR_DISOWNED, row, now)
        return None

    def still_good(
        self, connection: Connection, token_id: int, record_key: SealingKey, now: datetime
    ) -> OpenRecord | None:
        """Look again at what was proven a while ago, the record locked: None when the pair or the person ended."""
        row = connection.execute(select(*_COLUMNS).where(_T.id == token_id)).one_or_none()
        if row is None:
            return None
        stored = self._records.row(connection, row.record_id, lock=True)
        row = self._again(connection, row)
        if stored is None or row is None:
            return None
        try:
            opened = self._records.open_with(stored, record_key)
        except SealBroken:
            return None
        return opened if self._alive(row, opened.record, now) else None

    def _count(self, connection: Connection, limit: Limit, subject: str, now: datetime) -> Exceeded | None:
        """Count a try, or say that there were too many. Looked at first: a flood writes nothing and locks no row."""
        exceeded = self._limits.exceeded(connection, limit, subject, now)
        return exceeded or self._limits.take(connection, limit, subject, now)

    def _find(self, connection: Connection, pair: AccessToken) -> Row[Any] | None:
        """Look the code up under every pepper that there is."""
        found = [lookup(pair.code, self._ring.pepper(pepper_id)) for pepper_id in self._ring.pepper_ids]
        return connection.execute(select(*_COLUMNS).where(_T.lookup.in_(found))).one_or_none()

    def _again(self, connection: Connection, row: Row[Any] | None) -> Row[Any] | None:
        """Read the pair once more, now that its record is locked: all who change it lock that first."""
        token_id = row.id if row is not None else NOBODY
        return connection.execute(select(*_COLUMNS).where(_T.id == token_id)).one_or_none()

    def _opened(self, row: Row[Any] | None, stored: StoredRecord | None, pair: AccessToken) -> OpenRecord | None:
        """Open the record by the pair alone; one derivation and one opening, with or without a row."""
        sound = row is not None and stored is not None and row.wrapped_key is not None
        wrapped = bytes(row.wrapped_key) if row is not None and sound else self._decoy.wrapped
        salt = bytes(row.salt) if row is not None and sound else self._decoy.salt
        pepper = self._ring.pepper(row.pepper_id) if row is not None and sound else self._decoy.pepper
        try:
            key = SealingKey(unwrap(wrapped, pair, pepper, salt, row.id if row is not None else NOBODY))
        except AccessTokenDoesNotOpen:
            key = None
        try:
            if key is None or stored is None:
                self._records.open_with(self._decoy.row, self._decoy.key)
                return None
            return self._records.open_with(stored, key)
        except SealBroken:
            return None

    def _alive(self, row: Row[Any], record: PatientRecord, now: datetime) -> bool:
        """Whether the pair lives and its person may use it: everything that keeps one from getting a pair counts."""
        said = assess(record, self._options.policy, self._options.today(now), invited=False)
        reasons = set(said.reasons) if isinstance(said, Ineligible) else set()
        known = record.organisation in self._options.organisations
        return known and row.ended_at is None and row.expires_at > to_micros(now) and reasons <= HARMLESS

    def _count_wrong(self, connection: Connection, row: Row[Any] | None, guessed: int, now: datetime) -> None:
        """Count a wrong date; the last one that is allowed ends the pair, in the same statement."""
        last = _T.wrong_answers >= WRONG_DATES - 1
        values = {
            "wrong_answers": _T.wrong_answers + 1,
            "ended_at": case((last, to_micros(now)), else_=_T.ended_at),
            "end_reason": case((last, WRONG_DATES_REASON), else_=_T.end_reason),
            "wrapped_key": case((last, null()), else_=_T.wrapped_key),
        }
        connection.execute(update(access_tokens).where(_T.id == guessed, _T.ended_at.is_(None)).values(**values))
        if row is not None and guessed == row.id and row.wrong_answers + 1 >= WRONG_DATES:
            end_invitations_of_token(connection, row.record_id, row.id, WRONG_DATES_REASON, now)
            self._tell(connection, Action.PAIR_LOCKED, row, now)

    def _tell(self, connection: Connection, action: Action, row: Row[Any], now: datetime) -> None:
        entry = AuditEntry(Actor(ActorKind.PATIENT), action, row.organisation, row.record_id, {"pair": row.id})
        self._audit.append(connection, [entry], now)


class _Decoy:
    """A record that nobody is, and a pair that nobody has: what is worked on where there is nothing."""

    def __init__(self, random_bytes: Callable[[int], bytes]) -> None:
        self.key = SealingKey(random_bytes(KEY_BYTES))
        self.pepper = random_bytes(KEY_BYTES)
        self.salt = random_bytes(SALT_BYTES)
        self.wrapped = random_bytes(KEY_BYTES + 16)
        nobody = Demographics(names=(PersonName(family="Nobody", given="At All"),), birth=BirthDate("19000101"))
        sealed = self.key.seal(msgspec.json.encode(nobody), "patient_records", NOBODY, 1)
        self.row = StoredRecord(NOBODY, "", "", 1, "", b"", sealed, None, None, None, None, None, None, 0, 0)
        self.record = PatientRecord(NOBODY, "", "", 1, nobody, Standing())


def _same_day(record: PatientRecord, born: date | None) -> bool:
    """Compare in constant time. A record without a full date of birth has no right answer."""
    birth = record.demographics.birth
    known = birth.full if birth is not None else None
    told = born.isoformat() if born is not None else "no such day"
    return known is not None and hmac.compare_digest(known.isoformat(), told)

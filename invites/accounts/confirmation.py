"""The link from the mail makes a person registered: that alone, and only when somebody presses the button (SPEC 8).

Everything is looked at again, for a day may lie between: the person may have died or been merged, the pair may have
been disowned, another account may have been quicker. What registration brings about (queued invitations cancelled, all
pairs ended) comes by the record's own change, like everything else of the kind (SPEC 3.5, consequences).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec.structs import replace
from sqlalchemy import Connection

from invites.access_token import AccessToken
from invites.accounts import repository
from invites.accounts.challenge import HARMLESS
from invites.accounts.limits import LINK_TRIES_BY_ADDRESS
from invites.accounts.links import Links
from invites.accounts.pairs import token_end_reason
from invites.accounts.repository import Account, Link
from invites.eligibility import Ineligible, assess
from invites.options import InviteOptions
from invites.purpose import CONFIRM_ACCOUNT
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.errors import StorageConflict
from patient_records.limits import Exceeded, Limits
from patient_records.repository import OpenRecord, Records
from patient_records.standing import StandingChange
from patient_records.unit_of_work import Database

_EXPIRED: frozenset[str | None] = frozenset({None, "expired"})
"""How the pair that an account was begun with may stand: it was good then, and its own time may be over since."""


class Confirmed(StrEnum):
    """What became of a link."""

    NOW = "now"
    BEFORE = "before"
    NOT = "not"


class Confirmation:
    """Confirms accounts."""

    def __init__(
        self,
        database: Database,
        records: Records,
        options: InviteOptions,
        *,
        links: Links,
        standing: StandingChange,
        limits: Limits,
        audit: AuditTrail,
    ) -> None:
        self._database = database
        self._records = records
        self._options = options
        self._links = links
        self._standing = standing
        self._limits = limits
        self._audit = audit

    def confirm(self, carried: AccessToken, network_address: str) -> Confirmed | Exceeded:
        """Spend a link. Raises StorageUnavailable, or StorageConflict when it conflicts twice."""
        try:
            return self._once(carried, network_address)
        except StorageConflict:  # another account of that address or record was quicker: this time it is seen
            return self._once(carried, network_address)

    def _once(self, carried: AccessToken, network_address: str) -> Confirmed | Exceeded:
        with self._database.begin() as connection:
            now = self._database.now(connection)
            exceeded = self._limits.exceeded(connection, LINK_TRIES_BY_ADDRESS, network_address, now)
            if exceeded is not None:
                return exceeded
            link = self._links.find(connection, carried, CONFIRM_ACCOUNT)
            said = self._spend(connection, link, now) if link is not None else Confirmed.NOT
            if said is Confirmed.NOT:
                self._limits.take(connection, LINK_TRIES_BY_ADDRESS, network_address, now)
            return said

    def _spend(self, connection: Connection, link: Link, now: datetime) -> Confirmed:
        opened = self._records.load(connection, [link.record_id], lock=True).get(link.record_id)
        account = repository.account_by_id(connection, link.account_id, lock=True)
        again = repository.link_by_id(connection, link.id)
        if account is None or opened is None or again is None:
            return Confirmed.NOT
        if account.state == "active" and again.end_reason == "used":
            return Confirmed.BEFORE
        if again.end_reason is not None or again.expires_at <= now or account.state != "pending":
            return Confirmed.NOT
        # Looked at once: who came in between is a conflict with the index, never taken for somebody who is gone.
        holding = repository.holding(connection, account.email_blind)
        taken = holding is not None and not holding.gone
        if taken or not self._may_register(connection, account, opened, now):
            return Confirmed.NOT
        if holding is not None:
            repository.end_accounts(connection, [holding.account.id], "record_gone", now)
        self._register(connection, account, opened, now)
        return Confirmed.NOW

    def _may_register(self, connection: Connection, account: Account, opened: OpenRecord, now: datetime) -> bool:
        said = assess(opened.record, self._options.policy, self._options.today(now), invited=False)
        hindered = isinstance(said, Ineligible) and not set(said.reasons) <= HARMLESS
        pair_ended = token_end_reason(connection, account.access_token_id)
        return not hindered and pair_ended in _EXPIRED

    def _register(self, connection: Connection, account: Account, opened: OpenRecord, now: datetime) -> None:
        record = opened.record
        repository.end_links(connection, account.id, CONFIRM_ACCOUNT, "used", now)
        others = [id_ for id_ in repository.pending_of(connection, record.id) if id_ != account.id]
        repository.end_accounts(connection, others, "another_confirmed", now)
        repository.activate(connection, account.id, now)
        self._standing(connection, opened, replace(record.standing, registered_at=now), now)
        actor = Actor(ActorKind.PATIENT, str(account.id))
        self._audit.append(connection, [AuditEntry(actor, Action.REGISTERED, record.organisation, record.id)], now)

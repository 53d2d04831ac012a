"""An account is begun: the record key under a password, and a mail with the link that will make it count (SPEC 8).

Nothing here needs the organisation key: the record key comes from the pair, out of the session that the challenge
began. Whether the address has an account already is told to the address alone, by mail; the person sees the same page.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import Connection

from invites.accounts import repository
from invites.accounts.challenge import Challenge
from invites.accounts.emails import Emails, plain
from invites.accounts.key_wrap import KeyWrap, WrappedKey
from invites.accounts.limits import MAILS_BY_ADDRESS, MAILS_BY_EMAIL
from invites.accounts.links import Links, Mailing
from invites.accounts.repository import Account, Owner
from invites.purpose import ADDRESS_IN_USE, CONFIRM_ACCOUNT
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.ids import IdSource
from patient_records.limits import Exceeded, Limits
from patient_records.model import Masked
from patient_records.repository import OpenRecord
from patient_records.sealing import SealingKey
from patient_records.unit_of_work import Database


class Wish(Masked, Struct, frozen=True):
    """What somebody asks for who has proven who they are: an account with this address and password.

    ``token_id`` and ``record_key`` are from the challenge; ``network_address`` is where the wish comes from.
    """

    token_id: int
    record_key: SealingKey
    email: str
    password: str
    language: str
    network_address: str


class Registration:
    """Begins accounts. Each costs one derivation: to be called from a thread."""

    def __init__(
        self,
        database: Database,
        ids: IdSource,
        *,
        challenge: Challenge,
        emails: Emails,
        key_wrap: KeyWrap,
        links: Links,
        limits: Limits,
        audit: AuditTrail,
    ) -> None:
        self._database = database
        self._ids = ids
        self._challenge = challenge
        self._emails = emails
        self._key_wrap = key_wrap
        self._links = links
        self._limits = limits
        self._audit = audit

    def begin(self, wish: Wish) -> bool | Exceeded:
        """Begin an account and mail its link. False when the pair or the person ended since the challenge.

        Raises StorageUnavailable or StorageConflict.
        """
        account_id = self._ids.row_id()
        wrapped = self._key_wrap.wrap(wish.record_key, wish.password, account_id)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            exceeded = self._limits.take(connection, MAILS_BY_ADDRESS, wish.network_address, now)
            if exceeded is not None:
                return exceeded
            # Silently: who asked for mails to this address before is nobody's business.
            too_many = self._limits.take(connection, MAILS_BY_EMAIL, plain(wish.email), now)
            opened = self._challenge.still_good(connection, wish.token_id, wish.record_key, now)
            if opened is None:
                return False
            if too_many is None:
                self._mail(connection, wish, opened, wrapped, now)
        return True

    def _mail(
        self,
        connection: Connection,
        wish: Wish,
        opened: OpenRecord,
        wrapped: WrappedKey,
        now: datetime,
    ) -> None:
        blind = self._emails.blind(wish.email)
        holding = repository.holding(connection, blind)
        if holding is not None and not holding.gone:
            told = Mailing(ADDRESS_IN_USE, "/login", wish.email, wish.language)
            self._links.tell(connection, opened, told, now)
            return
        record = opened.record
        repository.end_accounts(connection, repository.pending_of(connection, record.id), "replaced", now)
        account = Account(
            id=wrapped.account_id,
            record_id=record.id,
            organisation=record.organisation,
            state="pending",
            email_blind=blind,
            salt=wrapped.salt,
            parameters=wrapped.parameters,
            wrapped_key=wrapped.wrapped_key,
            sealed=b"",
            access_token_id=wish.token_id,
        )
        owner = Owner(wish.email, wish.language)
        repository.add_account(connection, account, owner, opened.key, now)
        mailing = Mailing(CONFIRM_ACCOUNT, "/confirm", wish.email, wish.language)
        self._links.mail(connection, account, opened, mailing, now)
        entry = AuditEntry(
            Actor(ActorKind.PATIENT),
            Action.REGISTRATION_STARTED,
            record.organisation,
            record.id,
            {"pair": wish.token_id},
        )
        self._audit.append(connection, [entry], now)

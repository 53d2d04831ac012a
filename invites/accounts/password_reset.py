"""A forgotten password: a link to the account's address, then the date of birth and a new password (SPEC 8).

Nobody has the record key any more but the hospital, so this takes the organisation key. It is therefore the weaker way
in, and a hospital may close it: then the front desk helps. Five wrong dates end a link.
"""

from __future__ import annotations

import hmac
from datetime import date, datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites.access_token import AccessToken
from invites.accounts import repository
from invites.accounts.emails import Emails, plain
from invites.accounts.key_wrap import KeyWrap, WrappedKey
from invites.accounts.limits import LINK_TRIES_BY_ADDRESS, MAILS_BY_ADDRESS, MAILS_BY_EMAIL, WRONG_DATES
from invites.accounts.links import Links, Mailing
from invites.accounts.repository import Account, Link
from invites.purpose import RESET_PASSWORD
from patient_records.audit import Actor, AuditEntry, AuditTrail
from patient_records.audit_actions import Action, ActorKind
from patient_records.limits import Exceeded, Limits
from patient_records.model import Masked
from patient_records.repository import OpenRecord, Records
from patient_records.sealing import SealingKey
from patient_records.sessions import Sessions
from patient_records.unit_of_work import Database

PATIENT: Final = "patient"
"""The kind of session that a login begins."""


class NewPassword(Masked, Struct, frozen=True):
    """What somebody gives who follows the link: what it carries, their date of birth, and the new password."""

    carried: AccessToken
    born: date | None
    password: str
    network_address: str


class PasswordReset:
    """Mails links for a new password, and sets it. The second costs one derivation: to be called from a thread."""

    def __init__(
        self,
        database: Database,
        records: Records,
        *,
        emails: Emails,
        key_wrap: KeyWrap,
        links: Links,
        sessions: Sessions,
        limits: Limits,
        audit: AuditTrail,
    ) -> None:
        self._database = database
        self._records = records
        self._emails = emails
        self._key_wrap = key_wrap
        self._links = links
        self._sessions = sessions
        self._limits = limits
        self._audit = audit

    def too_often(self, network_address: str) -> Exceeded | None:
        """Whether too many mails were asked for from there. Raises StorageUnavailable."""
        with self._database.begin() as connection:
            return self._limits.take(connection, MAILS_BY_ADDRESS, network_address, self._database.now(connection))

    def ask(self, email: str, language: str) -> None:
        """Mail a link to that address if it has an account. The caller has answered already, whatever comes of it."""
        with self._database.begin() as connection:
            now = self._database.now(connection)
            too_many = self._limits.take(connection, MAILS_BY_EMAIL, plain(email), now)
            account = repository.active_by_email(connection, self._emails.blind(email))
            if account is None or too_many is not None:
                return
            opened = self._records.load(connection, [account.record_id], lock=True).get(account.record_id)
            if opened is not None:
                mailing = Mailing(RESET_PASSWORD, "/reset", email, language)
                self._links.mail(connection, account, opened, mailing, now)
                self._tell(connection, Action.PASSWORD_RESET_ASKED, account, now)

    def knows(self, carried: AccessToken) -> bool:
        """Whether a link of ours carries this, whatever became of it. Raises StorageUnavailable."""
        with self._database.read() as connection:
            return self._links.find(connection, carried, RESET_PASSWORD) is not None

    def set(self, wish: NewPassword) -> bool | Exceeded:
        """Set a new password and end all sessions; False whatever is wrong with the link or the date.

        Raises StorageUnavailable or StorageConflict.
        """
        with self._database.read() as connection:
            now = self._database.now(connection)
            exceeded = self._limits.exceeded(connection, LINK_TRIES_BY_ADDRESS, wish.network_address, now)
            if exceeded is not None:
                return exceeded
            link = self._links.find(connection, wish.carried, RESET_PASSWORD)
            opened = self._opened(connection, link)
        key = opened.key if opened is not None else SealingKey.generate()  # the same derivation for whoever asks
        wrapped = self._key_wrap.wrap(key, wish.password, link.account_id if link is not None else 0)
        with self._database.begin() as connection:
            now = self._database.now(connection)
            done = link is not None and opened is not None and self._spend(connection, wish, link, wrapped, now)
            if not done:
                self._limits.take(connection, LINK_TRIES_BY_ADDRESS, wish.network_address, now)
            return done

    def _opened(self, connection: Connection, link: Link | None) -> OpenRecord | None:
        if link is None:
            return None
        return self._records.load(connection, [link.record_id]).get(link.record_id)

    def _spend(self, connection: Connection, wish: NewPassword, link: Link, wrapped: WrappedKey, now: datetime) -> bool:
        opened = self._records.load(connection, [link.record_id], lock=True).get(link.record_id)
        account = repository.account_by_id(connection, link.account_id, lock=True)
        link_now = repository.link_by_id(connection, link.id)
        if opened is None or account is None or account.state != "active" or account.record_id != link.record_id:
            return False
        if link_now is None or link_now.end_reason is not None or link_now.expires_at <= now:
            return False
        if not _same_day(opened, wish.born):
            repository.count_wrong(connection, link.id, WRONG_DATES, now)
            return False
        repository.set_key(connection, account.under(wrapped))
        repository.end_links(connection, account.id, RESET_PASSWORD, "used", now)
        self._sessions.end_all(connection, PATIENT, account.id)
        self._tell(connection, Action.PASSWORD_RESET, account, now)
        return True

    def _tell(self, connection: Connection, action: Action, account: Account, now: datetime) -> None:
        actor = Actor(ActorKind.PATIENT, str(account.id))
        self._audit.append(connection, [AuditEntry(actor, action, account.organisation, account.record_id)], now)


def _same_day(opened: OpenRecord, born: date | None) -> bool:
    """Compare in constant time. A record without a full date of birth has no right answer."""
    birth = opened.record.demographics.birth
    known = birth.full if birth is not None else None
    return known is not None and born is not None and hmac.compare_digest(known.isoformat(), born.isoformat())

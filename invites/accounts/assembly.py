"""Puts accounts together, out of what the daemon hands in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from msgspec import Struct

from invites.accounts.challenge import Challenge
from invites.accounts.closing import Closing
from invites.accounts.confirmation import Confirmation
from invites.accounts.emails import Emails
from invites.accounts.key_wrap import SECRET_PURPOSE, KeyWrap
from invites.accounts.links import Links
from invites.accounts.login import Login
from invites.accounts.noted_answers import NotedAnswers
from invites.accounts.password_change import PasswordChange
from invites.accounts.password_reset import PATIENT, PasswordReset
from invites.accounts.registration import Registration
from invites.accounts.upkeep import Upkeep
from invites.gate import Gate
from invites.options import InviteOptions
from invites.post import Post
from patient_records.audit import AuditTrail
from patient_records.ids import IdSource
from patient_records.keys import KeyRing
from patient_records.limits import Limits
from patient_records.passwords import CURRENT, Parameters, Passwords
from patient_records.ports import RecordChanges
from patient_records.repository import Records
from patient_records.sessions import Kind, Sessions
from patient_records.standing import StandingChange
from patient_records.unit_of_work import Database

JOINING: Final = "joining"
"""The kind of session between the challenge and the mail: it holds what the pair opened."""

KINDS: Final = {
    JOINING: Kind(JOINING, timedelta(minutes=20), timedelta(hours=1)),
    PATIENT: Kind(PATIENT, timedelta(minutes=15), timedelta(hours=8)),
}
"""How long sessions live: a library's computer is soon somebody else's (OWASP Session Management: 15 to 30 minutes
idle for what is of high value), and a day's end is the end."""


class Accounts(Struct, frozen=True):
    """Everything about accounts."""

    challenge: Challenge
    registration: Registration
    confirmation: Confirmation
    login: Login
    password_reset: PasswordReset
    password_change: PasswordChange
    closing: Closing
    sessions: Sessions
    upkeep: Upkeep
    noted: NotedAnswers


def assemble(
    database: Database,
    records: Records,
    ring: KeyRing,
    ids: IdSource,
    *,
    options: InviteOptions,
    gate: Gate,
    consequences: RecordChanges,
    limits: Limits,
    audit: AuditTrail,
    random_bytes: Callable[[int], bytes],
    parameters: Parameters = CURRENT,
) -> Accounts:
    """Put everything together. ``parameters`` are what a derivation costs; only tests take less than today's."""
    _, secret = ring.derived_secret(SECRET_PURPOSE)
    key_wrap = KeyWrap(Passwords(secret, parameters), random_bytes)
    emails, standing = Emails(records.blind_index), StandingChange(records, consequences)
    links = Links(ring, ids, Post(ids), random_bytes)
    noted = NotedAnswers(database, gate)
    sessions = Sessions(ids, random_bytes, KINDS)
    challenge = Challenge(
        records, ring, options, limits=limits, audit=audit, random_bytes=random_bytes, heard=noted.hear
    )
    return Accounts(
        challenge=challenge,
        registration=Registration(
            database,
            ids,
            challenge=challenge,
            emails=emails,
            key_wrap=key_wrap,
            links=links,
            limits=limits,
            audit=audit,
        ),
        confirmation=Confirmation(
            database, records, options, links=links, standing=standing, limits=limits, audit=audit
        ),
        login=Login(database, records, emails=emails, key_wrap=key_wrap, limits=limits, audit=audit),
        password_reset=PasswordReset(
            database,
            records,
            emails=emails,
            key_wrap=key_wrap,
            links=links,
            sessions=sessions,
            limits=limits,
            audit=audit,
        ),
        password_change=PasswordChange(database, key_wrap=key_wrap, sessions=sessions, limits=limits, audit=audit),
        closing=Closing(records, standing, sessions, audit),
        sessions=sessions,
        upkeep=Upkeep(database),
        noted=noted,
    )

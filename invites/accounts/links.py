"""Links that are mailed: made, and found again by what they carry.

A link carries twenty characters in the form of a pair (:mod:`invites.access_token`): 87 random bits, with check
characters, so that who types them (no JavaScript, or another machine) is told of a slip before anything is looked up.
They ride in the fragment, which no server sees, and are stored as a keyed hash.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites.access_token import LENGTH, AccessToken, Slips, draw, parse
from invites.accounts import repository
from invites.accounts.repository import Account, Link
from invites.channels.channel import EMAIL
from invites.content import Content
from invites.post import Message, Post
from patient_records.ids import IdSource
from patient_records.keys import KeyRing
from patient_records.model import Masked
from patient_records.repository import OpenRecord

LIFE: Final = timedelta(hours=24)
"""How long a link works: long enough for a mail that is read the next day, short for one that is found later."""

_SECRET_PURPOSE: Final = "account links"  # noqa: S105 (names a secret, is none)


class Mailing(Masked, Struct, frozen=True):
    """A mail with a link: what it is for, the path that its link leads to, to whom, in which language."""

    purpose: str
    path: str
    to: str
    language: str


class Links:
    """Makes, mails and finds links."""

    def __init__(self, ring: KeyRing, ids: IdSource, post: Post, random_bytes: Callable[[int], bytes]) -> None:
        self._ids = ids
        self._post = post
        self._random_bytes = random_bytes
        _, self._secret = ring.derived_secret(_SECRET_PURPOSE)

    def mail(
        self, connection: Connection, account: Account, opened: OpenRecord, mailing: Mailing, now: datetime
    ) -> None:
        """Make a link for an account and put its mail into the outbox; older ones for the same end."""
        repository.end_links(connection, account.id, mailing.purpose, "replaced", now)
        [drawn] = draw(1, self._random_bytes)
        secret, link_id = drawn.code + drawn.token, self._ids.row_id()
        link = Link(link_id, account.id, account.record_id, mailing.purpose, now + LIFE, None, 0)
        repository.add_link(connection, link, self._lookup(drawn), now)
        content = Content(link=f"{mailing.path}#k={secret}", secret=secret, to=mailing.to, language=mailing.language)
        self._post(connection, [Message(opened, mailing.purpose, link_id, EMAIL, content, link.expires_at)], now)

    def tell(self, connection: Connection, opened: OpenRecord, mailing: Mailing, now: datetime) -> None:
        """Mail an address of ours without any secret."""
        content = Content(link=mailing.path, to=mailing.to, language=mailing.language)
        message = Message(opened, mailing.purpose, self._ids.row_id(), EMAIL, content, now + LIFE)
        self._post(connection, [message], now)

    def find(self, connection: Connection, carried: AccessToken, purpose: str) -> Link | None:
        """The link that carries this for that purpose, whatever became of it."""
        link = repository.link_by_lookup(connection, self._lookup(carried))
        return link if link is not None and link.purpose == purpose else None

    def _lookup(self, carried: AccessToken) -> bytes:
        return hmac.digest(self._secret, (carried.code + carried.token).encode("ascii"), "sha256")


def read(typed: str) -> AccessToken | None:
    """Read what a link carries, or somebody typed; None for a slip."""
    letters = "".join(character for character in typed if character.isalnum())
    said = parse(letters[:LENGTH], letters[LENGTH:])
    return None if isinstance(said, Slips) else said

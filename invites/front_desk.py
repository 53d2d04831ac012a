"""At the front desk: a pair handed over on the spot, on the screen, on paper, or split over two channels.

The pair is made by :mod:`invites.on_request`, which judges; nothing is an invitation here. What is shown is shown once:
nobody can read a code again. Split, the halves go through the outbox as any message does, the code by one channel and
the token by another, so that neither a lost telephone nor a stolen letter opens anything.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, func, select

from invites.bad_contacts import without_bad
from invites.channels.channel import Channel, InvitationText, Refused, Request
from invites.content import Content
from invites.mint import FRONT_DESK
from invites.on_request import Issued, OnRequest
from invites.on_request import Refused as NoPair
from invites.options import InviteOptions
from invites.post import Message, Post
from invites.purpose import PAIR_CODE, PAIR_TOKEN
from invites.recipient import usable_channels
from invites.tables import outbox
from invites.wording.phrases import join_link, join_page
from patient_records.ids import IdSource
from patient_records.model import PatientRecord
from patient_records.repository import Records


class CannotSplit(Struct, frozen=True):
    """Not sent by these two channels: they are one, or the person cannot be reached by both of them."""


class FrontDesk:
    """What a coordinator does with a pair."""

    def __init__(
        self, records: Records, on_request: OnRequest, ids: IdSource, options: InviteOptions, letter: Channel
    ) -> None:
        self._records = records
        self._on_request = on_request
        self._ids = ids
        self._post = Post(ids)
        self._options = options
        self._letter = letter

    def channels(self, connection: Connection, record: PatientRecord) -> tuple[str, ...]:
        """By which allowed channels this person can be reached, those left out that failed for good."""
        good = without_bad(connection, [record], self._options).get(record.id, record.demographics)
        return usable_channels(good, self._options.policy.channels)

    def issue(self, connection: Connection, record_id: int, organisation: str, now: datetime) -> Issued | NoPair:
        """Make a pair for that person, or say why there is none."""
        [said] = self._on_request.issue(connection, [record_id], organisation=organisation, origin=FRONT_DESK, now=now)
        return said

    def split(
        self, connection: Connection, record_id: int, organisation: str, by: tuple[str, str], now: datetime
    ) -> Issued | NoPair | CannotSplit:
        """Make a pair and queue its halves, the code by the first channel and the token by the second."""
        opened = self._records.load(connection, [record_id], lock=True).get(record_id)
        if opened is not None and (by[0] == by[1] or not set(by) <= set(self.channels(connection, opened.record))):
            return CannotSplit()
        said = self.issue(connection, record_id, organisation, now)
        if isinstance(said, NoPair) or opened is None:
            return said
        halves = ((PAIR_CODE, Content(code=said.pair.code)), (PAIR_TOKEN, Content(token=said.pair.token)))
        messages = [
            Message(
                opened,
                purpose,
                _next_number(connection, record_id, purpose),
                channel,
                half,
                self._options.entry_expires(channel, said.expires_at),
                said.token_id,
            )
            for (purpose, half), channel in zip(halves, by, strict=True)
        ]
        self._post(connection, messages, now)
        return said

    def letter(self, record: PatientRecord, issued: Issued, now: datetime) -> Request | Refused:
        """Set the letter that hands this pair over. Takes its time: with no transaction open."""
        public_url = self._options.public_url
        language = record.demographics.language.lower()
        text = InvitationText(
            reference=self._ids.opaque(),
            organisation=self._options.organisations[record.organisation],
            demographics=record.demographics,
            code=issued.pair.code,
            token=issued.pair.token,
            join_link=join_link(public_url, issued.pair.code, issued.pair.token),
            join_page=join_page(public_url),
            expires_on=self._options.last_sure_day(issued.expires_at),
            issued_at=now,
            language=language if len(language) == _ISO_639_1 and language.isalpha() else "",
        )
        return self._letter.render(text)


_ISO_639_1: Final = 2


def _next_number(connection: Connection, record_id: int, purpose: str) -> int:
    """The next number of that purpose for a person who is locked: entries are never deleted."""
    sent = select(func.count()).where(outbox.c.record_id == record_id, outbox.c.purpose == purpose)
    return (connection.scalar(sent) or 0) + 1

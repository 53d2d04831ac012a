"""Making pairs: the one place where a record key is wrapped under a code and a token.

Invitations come through here, and what is asked for over the API or at a front desk. Nothing is decided here: whoever
calls has locked the record and assessed the person.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection

from invites.access_token import SALT_BYTES, AccessToken, RandomBytes, draw, lookup, wrap
from invites.tables import access_tokens
from patient_records.bulk import BulkInsert, Row
from patient_records.ids import IdSource
from patient_records.instants import to_micros
from patient_records.keys import KeyRing
from patient_records.model import Masked
from patient_records.repository import OpenRecord

INVITATION: Final = "invitation"
API: Final = "api"
FRONT_DESK: Final = "front_desk"

_ADD: Final = BulkInsert(
    access_tokens,
    (
        "id",
        "record_id",
        "organisation",
        "lookup",
        "pepper_id",
        "salt",
        "wrapped_key",
        "created_at",
        "expires_at",
        "wrong_answers",
        "origin",
    ),
)


class MintedPair(Masked, Struct, frozen=True):
    """A pair and the row that it opens."""

    token_id: int
    pair: AccessToken
    expires_at: datetime


class Mint:
    """Makes pairs that live for ``lifetime``."""

    def __init__(self, ring: KeyRing, ids: IdSource, random_bytes: RandomBytes, lifetime: timedelta) -> None:
        self._ids = ids
        self._random_bytes = random_bytes
        self._lifetime = lifetime
        self._pepper_id = ring.pepper_id
        self._pepper = ring.pepper(ring.pepper_id)

    def pairs(
        self, connection: Connection, people: Sequence[OpenRecord], origin: str, now: datetime
    ) -> list[MintedPair]:
        """Make and store a pair for each of these people, in their order.

        Two codes may, once in 29**9 draws, be the same: the unique look-up then fails the transaction with
        StorageConflict, and done again it draws others.
        """
        expires_at = now + self._lifetime
        drawn = draw(len(people), self._random_bytes)
        minted = [MintedPair(self._ids.row_id(), pair, expires_at) for pair in drawn]
        salts = self._random_bytes(SALT_BYTES * len(people))
        rows = [
            self._row(opened, made, salts[at * SALT_BYTES : (at + 1) * SALT_BYTES], origin, now)
            for at, (opened, made) in enumerate(zip(people, minted, strict=True))
        ]
        _ADD.run(connection, rows)
        return minted

    def _row(self, opened: OpenRecord, made: MintedPair, salt: bytes, origin: str, now: datetime) -> Row:
        return (
            made.token_id,
            opened.record.id,
            opened.record.organisation,
            lookup(made.pair.code, self._pepper),
            self._pepper_id,
            salt,
            wrap(opened.key.raw, made.pair, self._pepper, salt, made.token_id),
            to_micros(now),
            to_micros(made.expires_at),
            0,
            origin,
        )

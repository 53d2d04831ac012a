"""Kinds of identifier that a database has seen, so that a bare number can be looked for with each of them.

A kind (organisation, authority, type) is no secret where senders behave. Where they do not, anything can stand in its
place, a name included; so kinds are sealed like everything else that a sender writes, and found by blind index.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

import msgspec
from sqlalchemy import Connection, select

from patient_records import tables
from patient_records.bulk import BulkInsert
from patient_records.keys import KeyRing

Kind: TypeAlias = tuple[str, str, str]

MOST: Final = 500
"""Kinds that are kept: a hospital has a dozen, and a hostile sender must not fill the table."""

_ADD: Final = BulkInsert(tables.identifier_kinds, ("blind", "key_id", "sealed"), key=("blind",))
_decoder: Final = msgspec.json.Decoder(tuple[str, str, str])


class IdentifierKinds:
    """Notes kinds as records are saved; what was noted counts as known only when it has been read back."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._index = ring.blind_index
        self._known: frozenset[Kind] = frozenset()

    def note(self, connection: Connection, seen: Iterable[Kind], organisation: str) -> None:
        """Note kinds not seen before, in the caller's transaction; ``organisation`` names the key that seals them."""
        new = set(seen) - self._known
        if not new or len(self._known) >= MOST:
            return
        self._known = frozenset(self.all(connection))
        key = self._ring.organisation_key(organisation)
        rows = []
        for kind in sorted(new - self._known)[: MOST - len(self._known)]:
            blind = self._index.kind(kind)
            sealed = key.seal(msgspec.json.encode(kind), "identifier_kinds", _row_id(blind))
            rows.append((blind, key.key_id, sealed))
        _ADD.run(connection, rows)

    def all(self, connection: Connection) -> list[Kind]:
        """Every kind noted. Raises SealBroken or KeyFault when one does not open."""
        table = tables.identifier_kinds
        rows = connection.execute(select(table.c.blind, table.c.key_id, table.c.sealed))
        return [
            _decoder.decode(
                self._ring.sealing_key(row.key_id).open(row.sealed, "identifier_kinds", _row_id(bytes(row.blind)))
            )
            for row in rows
        ]


def _row_id(blind: bytes) -> int:
    return int.from_bytes(blind[:7], "big")

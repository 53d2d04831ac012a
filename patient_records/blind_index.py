"""Finding without opening: keyed hashes of identifiers, contact points and messages.

Each is HMAC-SHA256 under the blind-index key, cut to 128 bits, over a domain word and length-prefixed parts (so that no
two different lists of parts are the same bytes). Without the key nobody can test a guess against the database: an NHS
number has ten digits, and an unkeyed hash of it is as good as the number.
"""

from __future__ import annotations

import hmac
from typing import Final

from patient_records.model import ContactPoint, Identifier, Masked

_BYTES: Final = 16


class BlindIndex(Masked):
    """Makes blind indexes under one key (32 bytes)."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _hash(self, domain: bytes, *parts: bytes) -> bytes:
        text = b"".join([domain, *[b"%d:%b" % (len(part), part) for part in parts]])
        return hmac.digest(self._key, text, "sha256")[:_BYTES]

    def identifier(self, identifier: Identifier) -> bytes:
        """Index an identifier: national kinds are alike for all, local ones their organisation's own (SPEC 3.5)."""
        return self._hash(
            b"identifier",
            identifier.organisation.encode(),
            identifier.authority.encode(),
            identifier.type.encode(),
            identifier.value.upper().encode(),
        )

    def contact(self, point: ContactPoint) -> bytes:
        """Index a contact point; email addresses in any case are one."""
        kind = b"email" if point.kind == "email" else b"phone"
        return self._hash(b"contact", kind, point.value.casefold().encode())

    def message_key(self, sender: str, control_id: str, body: bytes) -> int:
        """Where a repeat of a message is looked for: by sender and MSH-10, by the body where there is no MSH-10."""
        parts = (sender.encode(), control_id.encode()) if control_id else (sender.encode(), b"", body)
        return int.from_bytes(self._hash(b"message", *parts)[:8], "big", signed=True)

    def body(self, body: bytes) -> bytes:
        """Whether two messages are the same bytes."""
        return self._hash(b"body", body)

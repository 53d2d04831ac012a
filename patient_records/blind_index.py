"""Finding without opening: keyed hashes of identifiers, contact points and messages.

Each is HMAC-SHA256 under the blind-index key, cut to 128 bits, over a domain word and parts with their lengths (so that
no two different lists of parts are the same bytes). Without the key nobody can test a guess against the database: an
NHS number has ten digits, and an unkeyed hash of it is as good as the number.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from patient_records.model import ContactPoint, Identifier, Masked

_BYTES: Final = 16
_BLOCK: Final = 64  # of SHA-256


class BlindIndex(Masked):
    """Makes blind indexes under one key (32 bytes).

    HMAC is written out (RFC 2104) so that the two halves of the key are hashed once and not for every value: nine
    values a message are on the way to its acknowledgment, and this takes a quarter of what ``hmac.digest`` does.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = key.ljust(_BLOCK, b"\x00")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))

    def _hash(self, text: bytes) -> bytes:
        inner = self._inner.copy()
        inner.update(text)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:_BYTES]

    def identifier(self, identifier: Identifier) -> bytes:
        """Index an identifier: national kinds are alike for all, local ones their organisation's own (SPEC 3.5)."""
        organisation, authority, kind = identifier.organisation, identifier.authority, identifier.type
        head = f"identifier {len(organisation)}:{organisation}{len(authority)}:{authority}{len(kind)}:{kind}"
        return self._hash(f"{head}{identifier.value.upper()}".encode())

    def kind(self, kind: tuple[str, str, str]) -> bytes:
        """Index a kind of identifier (organisation, authority, type)."""
        return self._hash("\x00".join(("kind", *kind)).encode())

    def contact(self, point: ContactPoint) -> bytes:
        """Index a contact point; email addresses in any case are one."""
        kind = "email" if point.kind == "email" else "phone"
        return self._hash(f"contact {kind} {point.value.casefold()}".encode())

    def envelope(self, lines: str) -> bytes:
        """Index a postal address as it stands on an envelope, the name first, lines joined by LF."""
        return self._hash(f"contact letter {lines.casefold()}".encode())

    def message_key(self, sender: str, control_id: str, body: bytes) -> int:
        """Where a repeat of a message is looked for: by sender and MSH-10, by the body where there is no MSH-10."""
        text = f"message {len(sender)}:{sender}{control_id}".encode()
        return int.from_bytes(self._hash(text if control_id else text + b"\x00" + body)[:8], "big", signed=True)

    def subject(self, limit: str, subject: str) -> bytes:
        """Index whom a limit counts, so that no two limits can be joined by it."""
        return self._hash(f"limit {len(limit)}:{limit}{subject}".encode())

    def body(self, body: bytes) -> bytes:
        """Whether two messages are the same bytes."""
        return self._hash(b"body " + body)

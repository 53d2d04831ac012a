"""Sealing: AES-256-GCM, bound to the place where the sealed bytes lie.

A sealed value is ``0x01 || nonce (12) || ciphertext and tag``. The additional data names table, row id and version, so
that a thief with write access cannot move a value to another row, nor bring an old value back without its whole old row
(NIST SP 800-38D). Nonces are
random: a record key seals one record and its messages, an organisation key wraps one key a record, both far below the
2**32 that 96-bit random nonces allow.

Each record has its own random 256-bit *record key*. It is stored only wrapped: by the organisation key, by each live
access token, later by the patient's password.
"""

from __future__ import annotations

import hmac
import os
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from patient_records.errors import SealBroken
from patient_records.model import Masked

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_FORMAT: Final = b"\x01"
_HEAD: Final = len(_FORMAT) + _NONCE_BYTES


class SealingKey(Masked):
    """A 256-bit key that seals and opens. ``key_id`` names it in the key file; a record key has none."""

    __slots__ = ("_aead", "_raw", "key_id")

    def __init__(self, raw: bytes, key_id: str = "") -> None:
        if len(raw) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._raw = raw
        self._aead = AESGCM(raw)
        self.key_id = key_id

    @classmethod
    def generate(cls) -> SealingKey:
        """Make a new random key."""
        return cls(os.urandom(KEY_BYTES))

    @property
    def raw(self) -> bytes:
        """The key itself, to be wrapped under another one."""
        return self._raw

    def derived(self, purpose: str, row_id: int) -> SealingKey:
        """A key for one purpose and row (HMAC-SHA256 of both under this one; the expand step of RFC 5869).

        For what is sealed at every message: under one key, random nonces would be too few in the end.
        """
        raw = hmac.digest(self._raw, b"doorstep derived key\x00%b\x00%d" % (purpose.encode("ascii"), row_id), "sha256")
        return SealingKey(raw, self.key_id)

    def seal(self, plain: bytes, table: str, row_id: int, version: int = 1) -> bytes:
        """Seal bytes for one place: this table, row and version."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._aead.encrypt(nonce, plain, place(table, row_id, version))

    def open(self, sealed: bytes, table: str, row_id: int, version: int = 1) -> bytes:
        """Open what was sealed for that place; raises :class:`SealBroken` for any other key, place or content."""
        if sealed[:1] != _FORMAT or len(sealed) < _HEAD:
            raise SealBroken(table)
        try:
            return self._aead.decrypt(sealed[1:_HEAD], sealed[_HEAD:], place(table, row_id, version))
        except InvalidTag:
            raise SealBroken(table) from None

    def wrap(self, inner: SealingKey, row_id: int) -> bytes:
        """Wrap a record key for the record of that id."""
        return self.seal(inner.raw, "record_key", row_id)

    def unwrap(self, wrapped: bytes, row_id: int) -> SealingKey:
        """Unwrap the record key of that record; raises :class:`SealBroken`."""
        return SealingKey(self.open(wrapped, "record_key", row_id))


def place(table: str, row_id: int, version: int) -> bytes:
    """Name the place of a sealed value, as the seal's additional data: one place, one byte string."""
    return b"doorstep\x00%b\x00%d\x00%d" % (table.encode("ascii"), row_id, version)

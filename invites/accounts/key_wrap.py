"""A record key under a password: what a patient's password opens, and nobody else.

Argon2id (:mod:`patient_records.passwords`, with the source of its parameters) makes the wrapping key of the password, a
salt of the account's own, and a secret derived from the key file: a stolen database alone has nothing to test a guess
against. That the password is right shows in that the wrap opens; no hash of it is stored beside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from patient_records.errors import SealBroken
from patient_records.model import Masked
from patient_records.passwords import SALT_BYTES, Parameters, Passwords
from patient_records.sealing import SealingKey

PLACE: Final = "accounts.wrapped_key"

SECRET_PURPOSE: Final = "patient passwords"  # noqa: S105 (names a secret, is none)
"""Names the secret of the key file that derivations are keyed with."""


class WrappedKey(Masked, Struct, frozen=True):
    """A record key under a password, for the account of that id, and what opens it beside the password."""

    account_id: int
    salt: bytes
    parameters: str
    wrapped_key: bytes


class Unwrapped(Masked, Struct, frozen=True):
    """A record key that its password opened, and the key that the password makes: it can wrap another in its place."""

    record_key: SealingKey
    password_key: SealingKey


class KeyWrap:
    """Wraps and opens. Each costs one derivation: a tenth of a second and 64 MiB. From a thread, in no transaction."""

    def __init__(self, passwords: Passwords, random_bytes: Callable[[int], bytes]) -> None:
        self._passwords = passwords
        self._random_bytes = random_bytes
        self._decoy = WrappedKey(0, bytes(SALT_BYTES), passwords.parameters.encode(), b"")

    def wrap(self, record_key: SealingKey, password: str, account_id: int) -> WrappedKey:
        """Wrap a record key for the account of that id."""
        salt = self._random_bytes(SALT_BYTES)
        outer = SealingKey(self._passwords.derive(password, salt))
        return WrappedKey(
            account_id, salt, self._passwords.parameters.encode(), sealed_under(outer, record_key, account_id)
        )

    def open(self, wrapped: WrappedKey | None, password: str) -> Unwrapped | None:
        """Open the record key; None when the password is another. None as ``wrapped`` costs the same and opens nothing.

        Raises ValueError for parameters that are none.
        """
        told = wrapped or self._decoy
        outer = SealingKey(self._passwords.derive(password, told.salt, Parameters.decode(told.parameters)))
        try:
            return Unwrapped(SealingKey(outer.open(told.wrapped_key, PLACE, told.account_id)), outer)
        except SealBroken:
            return None

    def outdated(self, wrapped: WrappedKey) -> bool:
        """Whether it was made with other parameters than today's: wrap anew when its owner logs in."""
        return wrapped.parameters != self._passwords.parameters.encode()


def sealed_under(password_key: SealingKey, record_key: SealingKey, account_id: int) -> bytes:
    """Seal a record key under the key of a password that was derived already."""
    return password_key.seal(record_key.raw, PLACE, account_id)

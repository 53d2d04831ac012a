"""Passwords: hashed and checked (staff), and made into keys (a patient's, which wraps their record key).

Argon2id of RFC 9106 with the second of its recommended settings (section 4: 64 MiB, 3 passes, 4 lanes), which is above
the least that OWASP's password storage cheat sheet asks for (19 MiB, 2 passes, 1 lane). What was hashed carries its
parameters (PHC string format), so they can be raised: :meth:`Passwords.outdated` says when to hash anew at a login.

Every derivation is keyed with a secret from the key file as well (RFC 9106, 3.1, secret value K): a stolen database
alone gives nothing to test a guess against. What a patient's password opens is not keyed so unless the caller wants it.

One derivation takes its 64 MiB for about a tenth of a second, on as many cores as it has lanes. :data:`AT_A_TIME` of
them run in a process, and the others wait: a flood of logins must not take the memory that the feed needs. Call from a
thread, never from the event loop; OpenSSL gives the interpreter away meanwhile.

**Never more than one.** OpenSSL counts the threads of all derivations of a process together (``cryptography`` allows as
many as there are cores), and one that wants another thread waits until somebody else gives one back, which happens
only when all of its own have begun. So two that want more than there are wait for each other for ever, seen with
OpenSSL 4.0.3 on two cores at the first two logins that came at once.
"""

from __future__ import annotations

import os
import re
import threading
import unicodedata
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from msgspec import Struct

from patient_records.model import Masked

SHORTEST: Final = 10
"""Characters (SPEC 8)."""

LONGEST: Final = 128
"""Characters: more than any manager makes by default, and nobody's megabyte is hashed (NIST SP 800-63B: 64 or more)."""

AT_A_TIME: Final = 1
"""Derivations in one process: 64 MiB at the worst moment, and one is safe where two are not (see above). It works on
several cores, so that two would not be done sooner."""

SALT_BYTES: Final = 16
"""RFC 9106, 3.1: 16 bytes for password hashing."""

KEY_BYTES: Final = 32

_PHC: Final = re.compile(r"\$argon2id\$v=19\$m=(\d{1,9}),t=(\d{1,5}),p=(\d{1,3})\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
_WEAKEST_SCORE: Final = 2
"""zxcvbn's scores 0 and 1: found within a million guesses."""
_LOOKED_AT: Final = 24
"""Characters that zxcvbn looks at: its time grows with a power of the length and with every sign that may stand for a
letter. Seen: 7 s for 72 such characters, under a third of a second for 24; and no common password is longer."""
_judging: Final = threading.Lock()
"""One judgement at a time: it holds the interpreter, and zxcvbn keeps ``personal`` where every thread reads it."""

_turns: Final = threading.BoundedSemaphore(AT_A_TIME)


class Weakness(StrEnum):
    """Why a password is not taken."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    COMMON = "common"


class Parameters(Struct, frozen=True):
    """What a derivation costs: memory in KiB, passes, lanes."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def encode(self) -> str:
        """As in a PHC string: ``m=65536,t=3,p=4``; to be stored beside a key's salt."""
        return f"m={self.memory_kib},t={self.iterations},p={self.lanes}"

    @classmethod
    def decode(cls, text: str) -> Parameters:
        """Read what :meth:`encode` wrote. Raises ValueError."""
        found = re.fullmatch(r"m=(\d{1,9}),t=(\d{1,5}),p=(\d{1,3})", text)
        if found is None:
            raise ValueError("these are no Argon2id parameters")
        return cls(*map(int, found.groups()))


CURRENT: Final = Parameters()
"""What is used for everything new."""


class Passwords(Masked):
    """Hashes, checks and derives, under one secret (``KeyRing.derived_secret``; "" for none)."""

    def __init__(self, secret: bytes, parameters: Parameters = CURRENT) -> None:
        """``parameters`` are for everything new; tests take cheap ones."""
        self._secret = secret or None
        self.parameters = parameters

    def hash(self, password: str) -> str:
        """Hash a password for storing; every call gives another one (its salt is random)."""
        with _turns:
            return self._argon2id(os.urandom(SALT_BYTES), self.parameters).derive_phc_encoded(_bytes(password))

    def verify(self, password: str, encoded: str) -> bool:
        """Whether a password is the one that was hashed. False for what is no hash of ours, too."""
        if _PHC.fullmatch(encoded) is None:
            return False
        with _turns:
            try:
                Argon2id.verify_phc_encoded(_bytes(password), encoded, self._secret)
            except InvalidKey:
                return False
        return True

    def pretend(self, password: str) -> None:
        """Do the work of :meth:`verify` for an account that is not there, so that nobody can tell by the time."""
        self.derive(password, bytes(SALT_BYTES))

    def outdated(self, encoded: str) -> bool:
        """Whether a hash was made with other parameters than those of today: hash anew when its owner logs in."""
        found = _PHC.fullmatch(encoded)
        return found is None or Parameters(*map(int, found.groups())) != self.parameters

    def derive(self, password: str, salt: bytes, parameters: Parameters | None = None) -> bytes:
        """Derive a key of 32 bytes. Store salt (:data:`SALT_BYTES` random bytes) and parameters with what it wraps."""
        with _turns:
            return self._argon2id(salt, parameters or self.parameters).derive(_bytes(password))

    def _argon2id(self, salt: bytes, parameters: Parameters) -> Argon2id:
        return Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=parameters.iterations,
            lanes=parameters.lanes,
            memory_cost=parameters.memory_kib,
            secret=self._secret,
        )


def weakness(password: str, personal: Collection[str] = ()) -> Weakness | None:
    """Why a new password is refused: its length, or that it is among the first million that anybody tries.

    ``personal`` are words that are no secret to those who know its owner (name, email address, the hospital's name).
    zxcvbn judges, over its lists of the most frequent passwords, names and words; no rule asks for digits or signs
    (NIST SP 800-63B, 5.1.1.2).
    """
    if len(password) < SHORTEST:
        return Weakness.TOO_SHORT
    if len(password) > LONGEST:
        return Weakness.TOO_LONG
    from zxcvbn import zxcvbn  # noqa: PLC0415 (its lists are some 10 MiB, for the day on which somebody chooses one)

    with _judging:
        judged = zxcvbn(password[:_LOOKED_AT], user_inputs=list(personal))
    return Weakness.COMMON if judged["score"] < _WEAKEST_SCORE else None


def _bytes(password: str) -> bytes:
    """One password for the same characters, however a keyboard composes them (NIST SP 800-63B, 5.1.1.2: NFKC)."""
    return unicodedata.normalize("NFKC", password).encode()

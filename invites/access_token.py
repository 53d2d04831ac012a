"""The record access token: an invitation code and a decryption token (SPEC 5.2).

The theory, in five sentences. The **code** finds the row: it is stored only as an HMAC under the pepper, so that a
stolen database cannot be searched for one. The **token** is stored nowhere; together with the code and the pepper it
gives, by HKDF, the key that opens a copy of the record key. Whoever holds the database alone has neither; whoever
holds the letter alone has no pepper. The alphabet has 29 characters, a prime: multiplied by its position, each
character weighs differently modulus 29, so one wrong character or two swapped neighbours always change the sum. Codes
sum to 0 and tokens to 1, so that the two fields exchanged are told as that, before any attempt is counted.

The nine random characters of each half carry 43 bits, 87 in the pair, behind a pepper of 256: nothing to guess.
"""

from __future__ import annotations

import hmac
import unicodedata
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec import Struct

from invites.errors import AccessTokenDoesNotOpen
from patient_records.model import Masked

ALPHABET: Final = "23456789BCDFGHJKLMNPQRSTVWXYZ"
"""29 characters: no vowels, nothing that is read as something else."""

LENGTH: Final = 10
CODE_SUM: Final = 0
TOKEN_SUM: Final = 1
SALT_BYTES: Final = 32

RandomBytes: TypeAlias = Callable[[int], bytes]
"""``os.urandom`` in the daemon, something seeded in tests."""

_MODULUS: Final = len(ALPHABET)
_RANDOM: Final = LENGTH - 1
_FAIR: Final = 256 - 256 % _MODULUS  # bytes from here up would favour the first characters: thrown away
_UNFAIR: Final = bytes(range(_FAIR, 256))
_REDUCE: Final = bytes(byte % _MODULUS for byte in range(256))
_LETTER: Final = bytes(ord(ALPHABET[byte % _MODULUS]) for byte in range(256))
_VALUE: Final = {letter: value for value, letter in enumerate(ALPHABET)}
_IGNORED: Final = {ord(mark): None for mark in " -\t\r\n\u00ad\u200b\u2010\u2012\u2013\u2014\u2212_."}
_LONGEST_ENTRY: Final = 64  # characters looked at in a field: ten, and as many blanks as anybody types
_INFO: Final = b"doorstep record access token 1"


class AccessToken(Masked, Struct, frozen=True, eq=False):
    """The pair, in normal form: ten characters of :data:`ALPHABET` each. Compared in constant time."""

    code: str
    token: str

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AccessToken):
            return NotImplemented
        return hmac.compare_digest(self.code + self.token, other.code + other.token)

    def __hash__(self) -> int:
        return hash((self.code, self.token))


class Slip(StrEnum):
    """What is wrong with one entered field; no slip counts as an attempt (SPEC 8)."""

    LENGTH = "length"
    CHARACTER = "character"
    CHECK = "check"
    EXCHANGED = "exchanged"


class Slips(Struct, frozen=True):
    """What is wrong with the two entered fields; None where that field is well formed."""

    code: Slip | None
    token: Slip | None


def draw(count: int, random_bytes: RandomBytes) -> list[AccessToken]:
    """Make that many pairs, each character equally likely (rejection sampling over bytes drawn in bulk)."""
    values = _fair_values(2 * _RANDOM * count, random_bytes)
    halves = (values[at : at + _RANDOM] for at in range(0, len(values), _RANDOM))
    return [
        AccessToken(_with_check(code, CODE_SUM), _with_check(token, TOKEN_SUM))
        for code, token in zip(halves, halves, strict=True)
    ]


def parse(code_field: str, token_field: str) -> AccessToken | Slips:
    """Read what somebody entered: any case, with blanks or hyphens. Slips are told from a well-formed wrong pair."""
    code, code_slip = _normal(code_field)
    token, token_slip = _normal(token_field)
    if code_slip is None and token_slip is None:
        sums = (_weighed(code), _weighed(token))
        if sums == (CODE_SUM, TOKEN_SUM):
            return AccessToken(code, token)
        if sums == (TOKEN_SUM, CODE_SUM):
            return Slips(Slip.EXCHANGED, Slip.EXCHANGED)
    return Slips(code_slip or _checked(code, CODE_SUM), token_slip or _checked(token, TOKEN_SUM))


def lookup(code: str, pepper: bytes) -> bytes:
    """Give the 32 bytes by which a code is found: HMAC-SHA256 (RFC 2104) under the pepper."""
    return hmac.digest(pepper, code.encode("ascii"), "sha256")


def wrap(record_key: bytes, pair: AccessToken, pepper: bytes, salt: bytes, row_id: int) -> bytes:
    """Seal the record key so that only this pair, this pepper and this row (its AES-GCM associated data) open it.

    ``salt`` is :data:`SALT_BYTES` fresh random bytes, used once. They make the key unique to this one sealing, so the
    nonce need not be more than that salt's first twelve bytes (NIST SP 800-38D, 8.2: no key meets a nonce twice).
    """
    return AESGCM(_wrapping_key(pair, pepper, salt)).encrypt(salt[:12], record_key, _bound_to(row_id))


def unwrap(wrapped_key: bytes, pair: AccessToken, pepper: bytes, salt: bytes, row_id: int) -> bytes:
    """Open what :func:`wrap` sealed; any other pair, pepper, salt or row raises AccessTokenDoesNotOpen."""
    try:
        return AESGCM(_wrapping_key(pair, pepper, salt)).decrypt(salt[:12], wrapped_key, _bound_to(row_id))
    except InvalidTag:
        raise AccessTokenDoesNotOpen from None


def _wrapping_key(pair: AccessToken, pepper: bytes, salt: bytes) -> bytes:
    """Derive the key by HKDF-SHA256 (RFC 5869). Code and token have fixed lengths, so no two inputs read the same."""
    return HKDF(SHA256(), 32, salt, _INFO).derive(pair.code.encode("ascii") + pair.token.encode("ascii") + pepper)


def _bound_to(row_id: int) -> bytes:
    return b"access_tokens.wrapped_key/%d" % row_id


def _fair_values(count: int, random_bytes: RandomBytes) -> bytes:
    """Give ``count`` values of 0..28, each equally likely. A tenth is thrown away, so a seventh more is drawn."""
    values = b""
    while len(values) < count:
        missing = count - len(values)
        values += random_bytes(missing + missing // 7 + 8).translate(_REDUCE, _UNFAIR)
    return values[:count]


def _with_check(values: bytes, wanted: int) -> str:
    """Add the tenth character: 3 x 10 = 30 = 1 modulus 29, so 3 undoes its weight of 10."""
    last = 3 * (wanted - _weigh(values)) % _MODULUS
    return values.translate(_LETTER).decode("ascii") + ALPHABET[last]


def _weigh(values: bytes) -> int:
    """Sum value(i) x i over i = 1..9, written out because a hundred thousand pairs are drawn at a time."""
    a, b, c, d, e, f, g, h, i = values
    return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i


def _weighed(half: str) -> int:
    """Give the sum over all ten characters, modulus 29."""
    return sum(_VALUE[letter] * position for position, letter in enumerate(half, 1)) % _MODULUS


def _checked(half: str, wanted: int) -> Slip | None:
    return None if _weighed(half) == wanted else Slip.CHECK


def _normal(field: str) -> tuple[str, Slip | None]:
    """Bring an entered field to normal form, or say why it has none."""
    entered = unicodedata.normalize("NFKC", field[:_LONGEST_ENTRY]).translate(_IGNORED).upper()
    if not _VALUE.keys() >= set(entered):
        return "", Slip.CHARACTER
    if len(entered) != LENGTH:
        return "", Slip.LENGTH
    return entered, None

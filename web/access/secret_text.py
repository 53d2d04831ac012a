"""Secrets and bearers as texts: 256 random bits, shown once, kept as a hash.

A plain SHA-256 does, where a password would need Argon2id: nobody can try 2**256 texts, however fast a try is. The
prefix lets a scanner for leaked secrets know what it has found.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from hashlib import sha256
from typing import Final

SECRET: Final = "dss_"  # noqa: S105 (a prefix)
BEARER: Final = "dsb_"

_BYTES: Final = 32


def new(prefix: str, random_bytes: Callable[[int], bytes]) -> str:
    """Make a text: the prefix and 43 characters of ``A-Za-z0-9_-`` (base64url, RFC 4648, 5)."""
    return prefix + base64.urlsafe_b64encode(random_bytes(_BYTES)).rstrip(b"=").decode("ascii")


def hash_of(text: str) -> bytes:
    """What is kept of it: 32 bytes."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def same(text: str, kept: bytes) -> bool:
    """Whether the hash is that text's, in a time that does not depend on where they differ."""
    return hmac.compare_digest(hash_of(text), kept)

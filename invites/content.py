"""What an outbox entry has to say, as it lies there sealed until it is final (SPEC 5.3).

Only what cannot be had again is kept: the codes, which are stored nowhere else, a link's secret part, and an address
that the person typed. All the rest (name, hospital, the record's contacts) is read from the record when the message is
rendered, as it is then.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from invites.access_token import ALPHABET, LENGTH
from patient_records.model import Masked

_BARE: Final = frozenset(ALPHABET.encode("ascii"))


class Content(Masked, Struct, frozen=True, omit_defaults=True):
    """The sealed part of a message; what it does not carry is empty.

    ``code`` and ``token`` are a pair's halves. ``link`` is a path below the join site's address, its secret in the
    fragment, and ``secret`` the same secret for those who type it. ``to`` is an email address given by the person,
    used in place of the record's; ``language`` (ISO 639-1) the one of the page on which they gave it.
    """

    code: str = ""
    token: str = ""
    link: str = ""
    secret: str = ""
    to: str = ""
    language: str = ""


encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Content).decode


def decode(payload: bytes) -> Content:
    """Read back what :data:`encode` gave, and what 0.1.0 wrote: the twenty characters of a pair, bare.

    Raises msgspec.MsgspecError.
    """
    if len(payload) == 2 * LENGTH and _BARE.issuperset(payload):
        text = payload.decode("ascii")
        return Content(code=text[:LENGTH], token=text[LENGTH:])
    return _decode(payload)

from __future__ import annotations

import hmac
import random
from collections.abc import Callable

import pytest

from invites.access_token import (
    ALPHABET,
    AccessToken,
    Slip,
    Slips,
    draw,
    lookup,
    parse,
    unwrap,
    wrap,
)
from invites.errors import AccessTokenDoesNotOpen

PEPPER = bytes(range(32))
SALT = bytes(range(100, 132))
KEY = b"k" * 32
# Worked by hand: 3,4,5,6,7,8,9,B,C have the values 1..9; the sum of i * i over 1..9 is 285 = 24 modulus 29, and
# 3 * (0 - 24) = -72 = 15 modulus 29 is the J of the code (15 is "J"), 3 * (1 - 24) = 18 is the token's.
CODE = "3456789BC" + ALPHABET[15]
TOKEN = "3456789BC" + ALPHABET[18]


def seeded(seed: int) -> random.Random:
    return random.Random(seed)


def one_pair() -> AccessToken:
    return draw(1, seeded(1).randbytes)[0]


def test_the_alphabet_is_that_of_the_specification() -> None:
    assert ALPHABET == "23456789BCDFGHJKLMNPQRSTVWXYZ"
    assert len(ALPHABET) == 29


def test_check_characters_worked_by_hand_are_taken() -> None:
    assert parse(CODE, TOKEN) == AccessToken(CODE, TOKEN)


def test_every_drawn_pair_reads_back() -> None:
    for pair in draw(500, seeded(2).randbytes):
        assert parse(pair.code, pair.token) == pair


def test_pairs_differ_and_use_every_character_evenly() -> None:
    pairs = draw(5_000, seeded(3).randbytes)
    assert len({pair.code for pair in pairs}) == len({pair.token for pair in pairs}) == 5_000
    letters = "".join(pair.code[:9] + pair.token[:9] for pair in pairs)
    counts = [letters.count(letter) for letter in ALPHABET]
    assert sum(counts) == 90_000
    # 3103 expected, standard deviation 55: six of them never happen by chance. A modulo bias would be 12 %.
    assert all(2_773 < count < 3_433 for count in counts)


def test_a_source_that_gives_mostly_unfair_bytes_is_asked_again() -> None:
    source = seeded(4)
    draws = iter([b"\xff" * 40, b"\xe8" * 40])
    pair = draw(1, lambda count: next(draws, source.randbytes(count)))[0]
    assert parse(pair.code, pair.token) == pair


@pytest.mark.parametrize(
    "spelling",
    [
        str.lower,
        lambda half: f"{half[:5]} {half[5:]}",
        "-".join,
        lambda half: f"  {half[:5]}\u00a0{half[5:]}\n",
        lambda half: half.replace(half[4], f"{half[4]}\u2011", 1),
        lambda half: "".join(chr(ord(letter) + 0xFEE0) for letter in half),
    ],
    ids=["lower case", "groups", "hyphens", "no-break space", "no-break hyphen", "full width"],
)
def test_any_way_of_typing_is_brought_to_normal_form(spelling: Callable[[str], str]) -> None:
    pair = one_pair()
    assert parse(spelling(pair.code), spelling(pair.token)) == pair


@pytest.mark.parametrize(
    ("code", "token", "slips"),
    [
        (CODE[:9], TOKEN, Slips(Slip.LENGTH, None)),
        ("", TOKEN + "2", Slips(Slip.LENGTH, Slip.LENGTH)),
        ("A" + CODE[1:], TOKEN, Slips(Slip.CHARACTER, None)),
        (CODE, "0" + TOKEN[1:], Slips(None, Slip.CHARACTER)),
        ("4" + CODE[1:], TOKEN, Slips(Slip.CHECK, None)),
        (TOKEN, CODE, Slips(Slip.EXCHANGED, Slip.EXCHANGED)),
        (TOKEN, TOKEN, Slips(Slip.CHECK, None)),
        (CODE, "\ufdfa" * 1_000_000, Slips(None, Slip.CHARACTER)),
    ],
)
def test_slips_are_told(code: str, token: str, slips: Slips) -> None:
    assert parse(code, token) == slips


def test_a_wrapped_key_opens_with_its_pair_only() -> None:
    pair, other = draw(2, seeded(5).randbytes)
    wrapped = wrap(KEY, pair, PEPPER, SALT, 7)
    assert unwrap(wrapped, pair, PEPPER, SALT, 7) == KEY
    wrong = [
        (wrapped, AccessToken(other.code, pair.token), PEPPER, SALT, 7),
        (wrapped, AccessToken(pair.code, other.token), PEPPER, SALT, 7),
        (wrapped, pair, bytes(32), SALT, 7),
        (wrapped, pair, PEPPER, bytes(32), 7),
        (wrapped, pair, PEPPER, SALT, 8),
        (bytes([wrapped[0] ^ 1]) + wrapped[1:], pair, PEPPER, SALT, 7),
    ]
    for arguments in wrong:
        with pytest.raises(AccessTokenDoesNotOpen):
            unwrap(*arguments)


def test_the_wrapping_key_is_hkdf_of_rfc_5869() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 (only this test looks inside)

    material = CODE.encode() + TOKEN.encode() + PEPPER
    pseudorandom_key = hmac.digest(SALT, material, "sha256")  # RFC 5869, 2.2
    key = hmac.digest(pseudorandom_key, b"doorstep record access token 1\x01", "sha256")  # RFC 5869, 2.3, first block
    wrapped = wrap(KEY, AccessToken(CODE, TOKEN), PEPPER, SALT, 7)
    assert AESGCM(key).decrypt(SALT[:12], wrapped, b"access_tokens.wrapped_key/7") == KEY


def test_lookup_is_the_hmac_of_the_code() -> None:
    assert lookup(CODE, PEPPER) == hmac.digest(PEPPER, CODE.encode(), "sha256")
    assert lookup(CODE, PEPPER) != lookup(CODE, bytes(32))


def test_the_pair_shows_itself_nowhere() -> None:
    pair = one_pair()
    for shown in (repr(pair), str(pair), f"{pair}", repr([pair]), repr({"pair": pair})):
        assert pair.code not in shown
        assert pair.token not in shown


def test_equality_is_by_both_halves() -> None:
    pair, other = draw(2, seeded(6).randbytes)
    same = AccessToken(pair.code, pair.token)
    assert pair == same
    assert hash(pair) == hash(same)
    assert pair != AccessToken(pair.code, other.token)
    assert pair != AccessToken(other.code, pair.token)
    assert pair != "pair"

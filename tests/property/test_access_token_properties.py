from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from invites.access_token import ALPHABET, LENGTH, AccessToken, Slip, Slips, draw, parse

pairs = st.integers(min_value=0, max_value=2**32).map(lambda seed: draw(1, random.Random(seed).randbytes)[0])
positions = st.integers(min_value=0, max_value=LENGTH - 1)
letters = st.sampled_from(ALPHABET)


def put(half: str, position: int, letter: str) -> str:
    return half[:position] + letter + half[position + 1 :]


@given(pairs, positions, letters)
def test_every_single_slip_is_caught_in_either_field(pair: AccessToken, position: int, letter: str) -> None:
    code, token = put(pair.code, position, letter), put(pair.token, position, letter)
    if code != pair.code:
        assert parse(code, pair.token) == Slips(Slip.CHECK, None)
    if token != pair.token:
        assert parse(pair.code, token) == Slips(None, Slip.CHECK)


@given(pairs, st.integers(min_value=0, max_value=LENGTH - 2))
def test_every_swap_of_neighbours_is_caught_in_either_field(pair: AccessToken, position: int) -> None:
    for half in ("code", "token"):
        text: str = getattr(pair, half)
        swapped = text[:position] + text[position + 1] + text[position] + text[position + 2 :]
        if swapped == text:
            continue
        entered = {"code": pair.code, "token": pair.token, half: swapped}
        assert isinstance(parse(entered["code"], entered["token"]), Slips)


@given(pairs)
def test_exchanged_fields_are_told_as_that(pair: AccessToken) -> None:
    assert parse(pair.token, pair.code) == Slips(Slip.EXCHANGED, Slip.EXCHANGED)


@given(pairs, pairs)
def test_two_different_codes_never_pass_for_a_pair(one: AccessToken, other: AccessToken) -> None:
    assert isinstance(parse(one.code, other.code), Slips)
    assert isinstance(parse(one.token, other.token), Slips)


@given(pairs, st.data())
def test_case_blanks_and_hyphens_never_matter(pair: AccessToken, data: st.DataObject) -> None:
    def typed(half: str) -> str:
        gaps = st.lists(st.sampled_from(["", " ", "-", "\t"]), min_size=LENGTH, max_size=LENGTH)
        cases = st.lists(st.booleans(), min_size=LENGTH, max_size=LENGTH)
        marks = zip(half, data.draw(gaps), data.draw(cases), strict=True)
        return "".join((letter.lower() if small else letter) + gap for letter, gap, small in marks)

    assert parse(typed(pair.code), typed(pair.token)) == pair


@given(st.text(), st.text())
def test_no_text_breaks_the_reader(code: str, token: str) -> None:
    assert isinstance(parse(code, token), AccessToken | Slips)

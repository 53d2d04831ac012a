from __future__ import annotations

import hmac
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from patient_records.blind_index import BlindIndex
from patient_records.model import EMAIL, LANDLINE, MOBILE, ContactPoint, Identifier

KEY = bytes(range(32))
INDEX = BlindIndex(KEY)


@given(st.binary(min_size=32, max_size=32), st.binary())
def test_it_is_hmac_sha256_cut_to_128_bits(key: bytes, body: bytes) -> None:
    assert BlindIndex(key).body(body) == hmac.digest(key, b"body " + body, "sha256")[:16]


def test_a_value_is_the_same_in_any_case_and_another_under_another_key() -> None:
    upper, lower = Identifier("RX1", "MR", "AB12", "RX1"), Identifier("RX1", "MR", "ab12", "RX1")
    assert INDEX.identifier(upper) == INDEX.identifier(lower)
    assert INDEX.identifier(upper) != BlindIndex(bytes(32)).identifier(upper)


def test_every_part_of_an_identifier_counts_and_parts_do_not_run_together() -> None:
    different = [
        Identifier("A", "B", "C", "D"),
        Identifier("AB", "", "C", "D"),
        Identifier("", "AB", "C", "D"),
        Identifier("A", "", "BC", "D"),
        Identifier("A", "B", "C", "E"),
        Identifier("A", "B", "C"),
        Identifier("A", "B", "D", "D"),
        Identifier("DA", "B", "C", ""),
        Identifier("1:A", "B", "C", "D"),
    ]
    for one, two in combinations(different, 2):
        assert INDEX.identifier(one) != INDEX.identifier(two)


parts = st.text(st.sampled_from("AB1:0 "), max_size=4)
identifiers = st.builds(Identifier, parts, parts, parts, parts)


@given(identifiers, identifiers)
def test_two_identifiers_share_an_index_only_when_they_are_one(one: Identifier, two: Identifier) -> None:
    assert (INDEX.identifier(one) == INDEX.identifier(two)) == (one == two)


def test_a_phone_number_is_one_whatever_slot_it_came_in() -> None:
    mobile, landline = ContactPoint(MOBILE, "+447700900123", "PRN"), ContactPoint(LANDLINE, "+447700900123")
    assert INDEX.contact(mobile) == INDEX.contact(landline)
    assert INDEX.contact(mobile) != INDEX.contact(ContactPoint(EMAIL, "+447700900123"))
    assert INDEX.contact(ContactPoint(EMAIL, "A@Example.org")) == INDEX.contact(ContactPoint(EMAIL, "a@EXAMPLE.ORG"))


def test_a_message_is_looked_for_by_sender_and_control_id() -> None:
    key = INDEX.message_key("PAS|RX1", "M1", b"body")
    assert key == INDEX.message_key("PAS|RX1", "M1", b"another body")
    assert key != INDEX.message_key("PAS|RX", "1M1", b"body")
    assert key != INDEX.message_key("PAS|RX1", "M2", b"body")
    assert -(1 << 63) <= key < 1 << 63


def test_without_a_control_id_the_body_counts() -> None:
    assert INDEX.message_key("PAS", "", b"a") == INDEX.message_key("PAS", "", b"a")
    assert INDEX.message_key("PAS", "", b"a") != INDEX.message_key("PAS", "", b"b")
    assert INDEX.message_key("PAS", "", b"a") != INDEX.message_key("PAS", "a", b"")


def test_kinds_of_value_never_meet() -> None:
    assert INDEX.body(b"x") != INDEX.contact(ContactPoint(MOBILE, "x"))

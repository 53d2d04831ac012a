"""Sealed bytes open with their key, in their place, unchanged; and in no other case. Values mask themselves."""

from __future__ import annotations

import io
import pprint
import types
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.pretty import Pretty

from patient_records import blind_index, journal, keys, model, ports, reconcile, repository, sealing, update
from patient_records.blind_index import BlindIndex
from patient_records.errors import SealBroken
from patient_records.keys import KeyRing
from patient_records.sealing import SealingKey, place

KEY = SealingKey(bytes(range(32)))
PLAIN = b"CANARYOLSEN"


@given(st.binary(max_size=200), st.integers(0, 2**63 - 1), st.integers(1, 2**31))
def test_what_was_sealed_opens_in_its_place(plain: bytes, row_id: int, version: int) -> None:
    assert KEY.open(KEY.seal(plain, "t", row_id, version), "t", row_id, version) == plain


@pytest.mark.parametrize(("table", "row_id", "version"), [("u", 1, 1), ("t", 2, 1), ("t", 1, 2), ("t", 11, 1)])
def test_a_value_moved_to_another_place_does_not_open(table: str, row_id: int, version: int) -> None:
    sealed = KEY.seal(PLAIN, "t", 1, 1)
    with pytest.raises(SealBroken) as raised:
        KEY.open(sealed, table, row_id, version)
    assert raised.value.table == table
    assert "CANARY" not in str(raised.value)


def test_places_never_run_together() -> None:
    assert len({place("t", 1, 11), place("t", 11, 1), place("t1", 1, 1), place("t", 1, 1), place("t", 111, 1)}) == 5


def test_another_key_does_not_open() -> None:
    with pytest.raises(SealBroken):
        SealingKey.generate().open(KEY.seal(PLAIN, "t", 1), "t", 1)


def test_no_flipped_bit_and_no_missing_byte_goes_unseen() -> None:
    sealed = KEY.seal(PLAIN, "t", 1)
    for bit in range(len(sealed) * 8):
        broken = bytearray(sealed)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SealBroken):
            KEY.open(bytes(broken), "t", 1)
    for end in range(len(sealed)):
        with pytest.raises(SealBroken):
            KEY.open(sealed[:end], "t", 1)


def test_the_same_value_is_sealed_differently_each_time() -> None:
    sealed = {KEY.seal(PLAIN, "t", 1) for _ in range(500)}
    assert len({one[1:13] for one in sealed}) == 500
    assert len({one[13:] for one in sealed}) == 500
    assert all(PLAIN not in one for one in sealed)


def test_a_record_key_opens_only_from_its_own_row_and_wrap() -> None:
    inner = SealingKey.generate()
    wrapped = KEY.wrap(inner, 7)
    assert KEY.unwrap(wrapped, 7).raw == inner.raw
    assert inner.raw not in wrapped
    with pytest.raises(SealBroken):
        KEY.unwrap(wrapped, 8)
    with pytest.raises(SealBroken):
        SealingKey.generate().unwrap(wrapped, 7)
    with pytest.raises(SealBroken):
        KEY.open(wrapped, "patient_records", 7)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_has_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        SealingKey(bytes(size))


# --- what is printed

CANARY = "CANARYOLSEN"
MODULES = (model, update, reconcile, repository, journal, keys, sealing, ports, blind_index)
CLEAR_TEXT = {
    "PatientRecord.public_id",
    "PatientRecord.organisation",
    "Standing.hold",
    "Standing.exclusion",
    "Known.body_digest",
    "Known.acknowledgment",
    "Reconciliation.changes",
    "Reconciliation.findings",
    "Reconciliation.missing",
}
"""Fields that may be printed, for they stand in clear in the database, too: opaque ids, codes, acknowledgments."""
STRUCTS = [
    value
    for module in MODULES
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
]


def example(kind: Any) -> Any:
    """A value of that type with the canary in every text."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return example(arguments[0])
    if origin is tuple:
        return (example(arguments[0]),)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return filled(kind)
    if kind is SealingKey:
        return SealingKey(CANARY.ljust(32).encode())
    simple: dict[Any, Any] = {str: CANARY, bytes: CANARY.encode(), int: 5, bool: True}
    return simple.get(kind)


def filled(kind: type[msgspec.Struct]) -> msgspec.Struct:
    """An instance with the canary in every field that may hold text, except those that may be printed."""
    hints = typing.get_type_hints(kind)
    fields = {
        name: "fine" if f"{kind.__name__}.{name}" in CLEAR_TEXT else example(hints[name])
        for name in kind.__struct_fields__
    }
    return kind(**fields)


def all_ways(value: object) -> str:
    """Everything that a log, a traceback, a debugger or a careless f-string would make of the value."""
    screen = io.StringIO()
    Console(file=screen, width=400).print(Pretty(value), [value])
    told = [repr(value), str(value), f"{value}", f"{value!r:>5}", "%s %r" % (value, value)]  # noqa: UP031 (a way, too)
    return " ".join([*told, pprint.pformat([value]), repr({"k": (value,)}), screen.getvalue()])


@pytest.mark.parametrize("kind", STRUCTS, ids=lambda kind: kind.__name__)
def test_no_value_that_holds_a_patient_or_a_secret_shows_it(kind: type[msgspec.Struct]) -> None:
    value = filled(kind)
    assert CANARY not in all_ways(value)


@pytest.mark.parametrize(
    "value",
    [
        SealingKey(CANARY.ljust(32).encode(), "id"),
        BlindIndex(CANARY.encode()),
        KeyRing([keys.Key("k", "pepper", None, CANARY.ljust(32).encode())], {"pepper": "k"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_no_key_shows_itself(value: object) -> None:
    assert CANARY not in all_ways(value)


def test_there_are_values_to_be_held_to_this() -> None:
    assert {"Demographics", "PatientUpdate", "Identifier", "Key", "Entry", "OpenRecord"} <= {
        k.__name__ for k in STRUCTS
    }

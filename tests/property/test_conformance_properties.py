"""Whatever comes in, findings come out, in our own words and with nothing of what came in."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from hl7_listener.conformance import check
from hl7_listener.finding import Finding
from tests.support.settled import GOOD
from tests.unit.test_conformance import RULES

PLACE = re.compile(r"|[A-Z][A-Z0-9]{2}(-[0-9]{1,3}(\.[0-9]{1,3}){0,3})?|[A-Z0-9]{3}_[A-Z0-9]{2,3}_[A-Z0-9_]+")
CANARY = "CNRY"
DELIMITERS = "|^~\\&\r\n#"

canaries = st.sampled_from(
    [
        CANARY,
        "CNR",
        "CNRY_1",
        "PID_77.CNRY_1",
        "Missing required child PID.CNRY",
        "CNRY in element PID.CNRY_7",
        "\0",
        '""',
    ]
)
ids = st.sampled_from(
    ["MSH", "EVN", "PID", "PD1", "NK1", "PV1", "MRG", "OBX", "OBR", "QPD", "RDT", "ZZZ", "CNR", "pid"]
)
texts = st.lists(st.one_of(canaries, st.sampled_from(list(DELIMITERS)), st.text(max_size=3)), max_size=30).map("".join)
segments = st.lists(st.tuples(ids, texts).map("|".join), max_size=6).map("\r".join)
kinds = st.sampled_from(
    ["ADT^A28^ADT_A05", "ADT^A40^ADT_A39", "ADT^A28", "ORU^R01^ORU_R01", "CNR^CNR^CNR_CNR", "", "ACK"]
)
versions = st.sampled_from(
    ["2.1", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8.2", "2.9", CANARY, "2.5.1^CNR"]
)
marks = st.one_of(st.just("^~\\&"), st.text(alphabet=DELIMITERS + "CNRY_", max_size=6))

quiet = settings(max_examples=120)


def in_our_words(found: tuple[Finding, ...]) -> None:
    for one in found:
        assert one.rule in RULES
        assert PLACE.fullmatch(one.place), one.place
        assert "CNR" not in one.place
    assert len(set(found)) == len(found)


@quiet
@given(marks, kinds, versions, segments)
@example("^~\\&", "ADT^A28^ADT_A05", "2.5.1", "PID|1||||CNRY^CNRY&CNRY&CNRY&CNRY&CNRY&CNRY|||PID_77.CNRY_1")
@example("^~", "ADT^A28^ADT_A05", "2.5.1", "PID|1")
def test_any_segments_give_findings_of_our_words(marks: str, kind: str, version: str, body: str) -> None:
    text = f"MSH|{marks}|CNRY|CNRY|||CNRY||{kind}|CNRY|CNRY|{version}|CNRY||CNR|CNR\r{body}"
    in_our_words(check(text.encode()))


@quiet
@given(st.integers(0, len(GOOD)), st.integers(0, 20), texts)
def test_any_damage_to_a_good_message(start: int, length: int, instead: str) -> None:
    in_our_words(check((GOOD[:start] + instead + GOOD[start + length :]).encode("utf-8", "replace")))


@quiet
@given(st.binary(max_size=200), st.booleans(), st.sampled_from(["utf-8", "latin-1", "no such codec", ""]))
def test_any_bytes(raw: bytes, is_message: bool, charset: str) -> None:  # noqa: FBT001 (hypothesis gives it)
    in_our_words(check(b"MSH|^~\\&" * is_message + raw, charset=charset))

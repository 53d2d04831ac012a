from __future__ import annotations

from pathlib import Path

import pytest

from hl7_listener import conformance, finding
from hl7_listener.conformance import check
from hl7_listener.finding import MOST_BYTES, MOST_FINDINGS, MOST_PARTS, Finding
from tests.support.settled import FAULTY, GOOD

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "../shared/corpus"
RULES = {value for name, value in vars(finding).items() if name.isupper() and isinstance(value, str)}


def found(text: str) -> set[str]:
    """Rule and place of each finding, as ``rule:place``."""
    return {f"{one.rule}:{one.place}" for one in check(text.encode())}


def test_a_message_that_keeps_to_the_standard_has_no_finding() -> None:
    assert found(GOOD) == set()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("F000001^^^RX1^MR", "", "missing_required:PID-3"),
        ("PV1|1|N\r", "", "missing_required:PV1"),
        ("^ADT_A05|1|P|2.5.1", "|1|P|2.8", "missing_required:MSH-9.3"),
        ("PV1|1|N\r", "PV1|1|N\rPV1|2|N\r", "too_many:PV1"),
        ("|1||F0", "|1|a~b|F0", "too_many:PID-2"),
        ("^Ada", "^Ada&Augusta", "wrong_datatype:PID-5.2"),
        ("|19801210|", "|19801332|", "bad_value:PID-7.1"),
        ("PID|1|", "PID|one|", "bad_value:PID-1"),
        ("RX1^MR", "RX1&&ODD^MR", "not_in_table:PID-3.4.3"),
        ("|F|", "|X|", "not_in_table:PID-8"),
        ("PV1|1|N", "PV1|1|N" + "|" * 51 + "more", "unknown_field:PV1-53"),
        ("RX1^MR", "RX1^MR" + "^" * 8 + "more", "unknown_component:PID-3"),
        ("PV1|1|N\r", "PV1|1|N\rABC|1\r", "unknown_segment:PV1"),
        ("PV1|1|N\r", "PV1|1|N\rOBR|1\r", "misplaced_segment:OBR"),
        ("ADT^A28^ADT_A05", "ADT^X99^ADT_X99", "unknown_structure:MSH-9"),
        ("2.5.1", "2.9", "unknown_version:MSH-12"),
        ("2.5.1", "", "unknown_version:MSH-12"),
        ("^~\\&", "^~\\\\&", "odd_delimiters:MSH-2"),
        ("^~\\&", "^~", "odd_delimiters:MSH-2"),
        ("^~\\&", "^~\\&#", "odd_delimiters:MSH-2"),
    ],
)
def test_each_rule_names_its_place(old: str, new: str, expected: str) -> None:
    assert old in GOOD
    assert expected in found(GOOD.replace(old, new, 1))


def test_every_fault_is_found_not_only_the_first() -> None:
    assert found(FAULTY.replace("|F|", "|X|").replace("Lovelace^Ada", "")) == {
        "missing_required:PID-3",
        "missing_required:PID-5",
        "not_in_table:PID-8",
    }


@pytest.mark.parametrize("version", ["2.2", "2.3", "2.3.1", "2.4", "2.5", "2.6", "2.7"])
def test_the_structure_is_known_without_msh_9_3(version: str) -> None:
    said = found(GOOD.replace("ADT_A05", "").replace("2.5.1", version))
    assert "unknown_structure:MSH-9" not in said
    assert not {one for one in said if one.startswith(("misplaced", "unparseable"))}


def test_what_a_version_has_withdrawn_is_called_so() -> None:
    assert found(GOOD.replace("2.5.1", "2.8")) == {
        "unknown_field:EVN-1",
        "withdrawn:PID-13.1",
        "missing_required:PID-13.3",
    }


def test_a_null_is_in_every_table_and_no_bad_date() -> None:
    assert found(GOOD.replace("|F|", '|""|').replace("|19801210|", '|""|')) == set()


def test_segments_of_the_senders_own_are_passed_over() -> None:
    assert found(GOOD + "ZPI|1|whatever^it&likes\r") == set()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r"])
def test_terminators_are_the_readers_business(end: str) -> None:
    assert found(GOOD.replace("\r", end)) == set()


def test_other_delimiters_are_as_good() -> None:
    assert found(GOOD.translate(str.maketrans("|^~&", "#@!$"))) == set()


def test_without_a_structure_segments_are_still_checked() -> None:
    said = found(FAULTY.replace("ADT^A28^ADT_A05", "ORM^^"))
    assert said == {"unknown_structure:MSH-9", "missing_required:PID-3"}


def test_what_was_taken_for_a_segment_id_is_not_repeated() -> None:
    assert found(GOOD + "LEE|a line of an address\rKIM\rSMITH and sons\r") == {"unknown_segment:PV1"}


def test_a_large_message_is_one_finding() -> None:
    assert check(GOOD.encode() + b" " * MOST_BYTES) == (Finding(finding.TOO_LARGE_TO_CHECK),)
    assert check(GOOD.replace("PV1|1", "PV1|" + "&" * MOST_PARTS).encode()) == (Finding(finding.TOO_LARGE_TO_CHECK),)


def test_a_message_with_very_many_faults_says_that_there_are_more() -> None:
    said = check(GOOD.replace("PV1|1|N", "PV1|1|N" + "|x" * 200).encode())
    assert len(said) == MOST_FINDINGS + 1
    assert said[-1] == Finding(finding.FURTHER_FINDINGS)


@pytest.mark.parametrize("raw", [b"", b"PID|1", b"MSH", b"\xff\xfe", b"MSHA"])
def test_no_message_is_one_finding(raw: bytes) -> None:
    assert check(raw) == (Finding(finding.UNPARSEABLE),)


@pytest.mark.parametrize(
    ("step", "error", "expected"),
    [
        ("read", RuntimeError, {"unparseable:"}),
        ("parse_segments", RuntimeError, {"unparseable:", "missing_required:PID-3"}),
        ("parse_segments", MemoryError, {"too_large_to_check:"}),
        ("_bad_values", RuntimeError, {"unparseable:", "unparseable:MSH", "unparseable:PID"}),
        ("notes", RecursionError, {"unparseable:", "unparseable:MSH", "unparseable:PID"}),
    ],
)
def test_whatever_fails_becomes_a_finding(
    monkeypatch: pytest.MonkeyPatch, step: str, error: type[Exception], expected: set[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("Lovelace")

    monkeypatch.setattr(conformance, step, fail)
    assert found(FAULTY.replace("EVN|A28|20240305101500\r", "").replace("PV1|1|N\r", "")) == expected


@pytest.mark.parametrize("folder", [ROOT / "fixtures/adt", CORPUS], ids=["fixtures", "corpus"])
def test_real_messages_are_parsed_and_said_in_our_words(folder: Path) -> None:
    paths = sorted(folder.glob("*.hl7"))
    if not paths:
        pytest.skip(f"no messages in {folder.name}: it is not part of this checkout")
    unparsed = []
    for path in paths:
        said = check(path.read_bytes())
        assert {one.rule for one in said} <= RULES
        if Finding(finding.UNPARSEABLE) in said:
            unparsed.append(path.name)
    assert set(unparsed) <= {"no_msh.hl7", "malformed_cosyte_01.hl7"}  # neither has an MSH

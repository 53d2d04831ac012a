"""Message profiles: what a site asks for beyond the standard is found, by place, for the messages that it is about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli import doorstep
from hl7_listener.conformance import check
from hl7_listener.message_profile import ProfileFault, load_profile
from tests.support.profiles import write_profile
from tests.support.settled import GOOD

REQUIRED = {"Usage": "R", "Min": "1"}


def found(text: str, *profiles: str) -> set[str]:
    return {f"{one.rule}:{one.place}" for one in check(text.encode(), profiles=profiles)}


def test_a_profile_like_the_standard_finds_nothing_new(tmp_path: Path) -> None:
    assert found(GOOD, write_profile(tmp_path / "p.xml", {})) == found(GOOD) == set()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"PID_10": REQUIRED}, {"missing_required:PID-10"}),
        ({"PID_10": REQUIRED, "PV1_44": REQUIRED}, {"missing_required:PID-10", "missing_required:PV1-44"}),
        ({"PID_13": {"Usage": "X"}}, {"too_many:PID-13"}),
        ({"PID_8": {"Length": "1"}}, set()),
        ({"PID_7": {"Usage": "R", "Min": "1"}}, set()),
    ],
)
def test_what_a_profile_asks_for_is_found_by_place(
    tmp_path: Path, changes: dict[str, dict[str, str]], expected: set[str]
) -> None:
    assert found(GOOD, write_profile(tmp_path / "p.xml", changes)) == expected


def test_only_the_messages_that_it_is_about_are_held_to_it(tmp_path: Path) -> None:
    other_event = write_profile(tmp_path / "a.xml", {"PID_10": REQUIRED}, trigger="A31")
    other_version = write_profile(tmp_path / "b.xml", {"PID_10": REQUIRED}, version="2.5")
    mine = write_profile(tmp_path / "c.xml", {"PID_10": REQUIRED})
    assert found(GOOD, other_event, other_version) == set()
    assert found(GOOD, other_event, other_version, mine) == {"missing_required:PID-10"}


def test_a_profile_that_is_gone_leaves_the_standard(tmp_path: Path) -> None:
    assert found(GOOD.replace("|1|P|", "||P|"), str(tmp_path / "nowhere.xml")) == {"missing_required:MSH-10"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "unreadable"),
        (b"\x80\x04pickle", "no_xml"),
        (b"<a/>", "no_profile"),
        (b"<HL7v2xStaticDef/>", "no_structure"),
        (b'<HL7v2xStaticDef MsgStructID="ADT_A05"><Segment/></HL7v2xStaticDef>', "odd_segment"),
    ],
)
def test_what_is_no_profile_is_said_so_and_by_check_config(tmp_path: Path, content: bytes | None, code: str) -> None:
    path = tmp_path / "profile.xml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ProfileFault, match=code):
        load_profile(str(path))
    config = tmp_path / "doorstep.toml"
    config.write_text('[[listeners]]\nmessage_profiles = ["profile.xml"]\n', encoding="utf-8")
    result = CliRunner().invoke(doorstep, ["check-config", "--config", str(config), "--json"])
    assert [one["key"] for one in json.loads(result.stdout)] == ["listeners.0.message_profiles"]


def test_groups_are_named_as_the_standard_names_them(tmp_path: Path) -> None:
    path = tmp_path / "p.xml"
    segment = '<Segment Name="PID" Usage="R"><Field Name="x" Datatype="SI"/></Segment>'
    path.write_text(
        '<HL7v2xStaticDef MsgStructID="ADT_A39"><SegGroup Name="PATIENT" Usage="R" Max="*">'
        f"{segment}</SegGroup></HL7v2xStaticDef>",
        encoding="utf-8",
    )
    (group,) = load_profile(str(path)).reference[1]
    assert group[0] == "ADT_A39_PATIENT"
    assert group[2] == (1, -1)

"""Profiles from files to what they do to one message."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from daemon.settings import ConfigurationFaults, load
from daemon.settings.senders import load_profile, load_profiles, shipped
from hl7_listener.adt import interpret
from hl7_listener.arrival import Ignored, Meaning
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import QUIRKS, SenderProfile, read_identifier
from hl7_listener.senders import PLAIN
from patient_records.model import Identifier
from patient_records.update import ERASED, OMITTED, PatientUpdate

LISTENER = ListenerOptions("pas", "127.0.0.1", 0, "RX1", ZoneInfo("Europe/London"))
ENGINES = {"mirth", "iris", "rhapsody", "cloverleaf", "hapi", "ge"}


def profile(tmp_path: Path, text: str) -> SenderProfile:
    file = tmp_path / "one.toml"
    file.write_text(text)
    return load_profile(file).profile


def meaning(profile: SenderProfile, pid: str, event: str = "A28") -> Meaning:
    raw = f"MSH|^~\\&|PAS|RX1|d|d|20260101||ADT^{event}|1|P|2.5\rPID|1||{pid}\r".encode()
    return interpret(read(raw), LISTENER, profile, datetime(2026, 1, 1, tzinfo=UTC))


def update(profile: SenderProfile, pid: str) -> PatientUpdate:
    found = meaning(profile, pid)
    assert isinstance(found, PatientUpdate)
    return found


# ---- the shipped ones ------------------------------------------------------------------------------------------------


def test_a_profile_is_shipped_for_each_engine_and_says_where_its_behaviour_is_documented() -> None:
    assert {file.stem for file in shipped().glob("*.toml")} == ENGINES
    for file in shipped().glob("*.toml"):
        found = load_profile(file)
        assert "https://" in file.read_text()
        assert not found.match.weight, "it would be every hospital's"
        answers = found.profile.answers
        assert all((answers.passing, answers.content, answers.permanent, answers.held))


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_no_engine_is_answered_the_same_to_what_passes_and_to_what_does_not(engine: str) -> None:
    answers = load_profile(shipped() / f"{engine}.toml").profile.answers
    assert answers.passing not in {answers.content, answers.permanent, "AA"}
    assert {answers.content, answers.permanent} <= {"AE", "AR"}


# ---- whose -----------------------------------------------------------------------------------------------------------


def test_the_profile_that_says_most_of_a_sender_counts(tmp_path: Path) -> None:
    folder = tmp_path / "senders"
    folder.mkdir()
    (folder / "any-pas.toml").write_text('[match]\napplication = ["pas*"]\n')
    (folder / "our-pas.toml").write_text('[match]\napplication = ["PAS*"]\nfacility = ["rx1"]\n')
    (folder / "elsewhere.toml").write_text('[match]\nlisteners = ["lab"]\n')
    senders = load_profiles(folder).of("pas", "mirth")
    assert senders.profile("PAS2^1.2.3^ISO", "RX1").name == "our-pas"
    assert senders.profile("Pas", "RX2").name == "any-pas"
    assert senders.profile("LIS", "RX1").name == "mirth"
    assert load_profiles(folder).of("LAB", "").profile("LIS", "").name == "elsewhere"
    assert load_profiles(folder).of("other", "").profile("LIS", "") is PLAIN


def test_a_profile_of_ones_own_takes_the_place_of_a_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mirth.toml").write_text('[acknowledgment]\nheld = "AE"\n')
    assert load_profiles(tmp_path).known["mirth"].profile.answers.held == "AE"
    assert load_profiles(tmp_path / "absent").known["mirth"].profile.answers.held == "AA"


# ---- what it does ----------------------------------------------------------------------------------------------------


def test_rules_name_identifiers(tmp_path: Path) -> None:
    known = profile(
        tmp_path,
        """
[identifiers]
default_authority = "pas"
[[identifiers.rules]]
authority = "01"
type = "ni"
nhs_number = true
[[identifiers.rules]]
type = "VN"
ignored = true
[[identifiers.rules]]
authority = "PAS"
as_authority = "RX1"
as_type = "MR"
""",
    )
    found = update(known, "9990000018^^^01^NI~V77^^^RX1^VN~4711^^^^PI~0815^^^PAS")
    assert found.identifiers == (
        Identifier("NHS", "NH", "9990000018"),
        Identifier("RX1", "MR", "4711", "RX1"),
        Identifier("RX1", "MR", "0815", "RX1"),
    )
    assert found.findings == ()
    bad = read_identifier("9990000019", "01", "NI", known, "RX1")
    assert (bad.identifier, bad.ignored) == (None, False)


def test_a_bare_nhs_number_is_one_only_by_its_profile(tmp_path: Path) -> None:
    known = profile(tmp_path, 'quirks = ["bare_nhs_number"]')
    assert update(known, "999 000 0018").identifiers == (Identifier("NHS", "NH", "9990000018"),)
    assert update(known, "9990000019").identifiers == (Identifier("", "", "9990000019", "RX1"),)
    assert update(PLAIN, "9990000018").identifiers == (Identifier("", "", "9990000018", "RX1"),)


def test_a_null_that_says_nothing_erases_nothing(tmp_path: Path) -> None:
    line = '1^^^RX1^MR||Archer^Una||""|""|||""||""' + "|" * 16 + '""|""'
    assert update(PLAIN, line).birth is ERASED
    assert update(PLAIN, line).death is not None
    known = update(profile(tmp_path, 'quirks = ["null_says_nothing"]'), line)
    assert (known.birth, known.sex, known.addresses, known.home) == (OMITTED,) * 4
    assert known.death is None


@pytest.mark.parametrize(("indicator", "dead"), [("", None), ("Y", True), ("N", False)])
def test_a_date_of_death_that_means_nothing_makes_nobody_dead(
    tmp_path: Path, indicator: str, *, dead: bool | None
) -> None:
    line = f"1^^^RX1^MR||Archer^Una{'|' * 24}20200101|{indicator}"
    news = update(profile(tmp_path, 'quirks = ["death_date_means_nothing"]'), line).death
    assert (None if news is None else news.dead) == dead
    plain = update(PLAIN, line).death
    assert plain is not None
    assert plain.dead


def test_events_that_are_not_taken_are_kept_and_ignored(tmp_path: Path) -> None:
    known = profile(tmp_path, '[events]\ntaken = ["A28", "A31"]')
    assert isinstance(meaning(known, "1^^^RX1^MR||Archer^Una"), PatientUpdate)
    assert meaning(known, "1^^^RX1^MR||Archer^Una", "A08") == Ignored("this event is not taken from this sender")


def test_answers_and_character_sets_go_before_the_listeners(tmp_path: Path) -> None:
    known = profile(tmp_path, '[text]\ncharset = "windows-1252"\n[acknowledgment]\npassing = "AR"\nheld = "AE"')
    options = LISTENER.towards(known)
    assert (options.charset, options.on_storage_failure, options.held) == ("cp1252", "AR", "AE")
    assert (options.content, options.permanent, options.name) == ("AE", "AR", "pas")
    assert LISTENER.towards(PLAIN) is LISTENER


# ---- faults ----------------------------------------------------------------------------------------------------------


FAULTS = [
    ("quirk = []", "quirk", "is no setting of a profile", "Did you mean quirks?"),
    ('quirks = ["odd"]', "quirks.0", "is none of the choices", "Choose"),
    ('[acknowledgment]\nhold = "AA"', "acknowledgment.hold", "is no setting of a profile", "Did you mean held?"),
    ('[acknowledgment]\npassing = "AA"', "acknowledgment.passing", "is none of the choices", "Choose"),
    ('[text]\ncharset = "utf-16"', "text.charset", "is no character set", "Write one that holds ASCII"),
    ('[events]\ntaken = ["a28"]', "events.taken.0", "has characters that cannot be in it", "Write what matches"),
    ('[[identifiers.rules]]\ntype = "PI"', "identifiers.rules.0", "does not say one thing", "Write nhs_number"),
    ('[[identifiers.rules]]\nas_typ = "MR"', "identifiers.rules.0.as_typ", "is no setting", "Did you mean as_type?"),
    ("[match", "", "is no TOML", "Correct the line"),
]


@pytest.mark.parametrize(("text", "key", "wrong", "mend"), FAULTS, ids=[fault[1] or "syntax" for fault in FAULTS])
def test_check_config_names_file_and_key_of_a_fault(tmp_path: Path, text: str, key: str, wrong: str, mend: str) -> None:
    (tmp_path / "senders").mkdir()
    file = tmp_path / "senders" / "pas.toml"
    file.write_text(text)
    with pytest.raises(ConfigurationFaults) as raised:
        load(None, {}, folder=tmp_path)
    faults = [fault for fault in raised.value.faults if fault.key == key]
    assert faults
    assert (faults[0].file, faults[0].wrong.startswith(wrong)) == (str(file), True)
    assert faults[0].mend.startswith(mend)


def test_two_profiles_for_the_same_senders_are_a_fault(tmp_path: Path) -> None:
    (tmp_path / "senders").mkdir()
    for name in ("one", "two"):
        (tmp_path / "senders" / f"{name}.toml").write_text('[match]\napplication = ["PAS"]')
    with pytest.raises(ConfigurationFaults, match=r"is for the same senders as one\.toml"):
        load(None, {}, folder=tmp_path)


def test_a_listener_that_names_no_profile_is_a_fault_with_the_nearest_one(tmp_path: Path) -> None:
    file = tmp_path / "doorstep.toml"
    file.write_text('[[listeners]]\nprofile = "myrth"\n')
    with pytest.raises(ConfigurationFaults) as raised:
        load(file, {})
    [fault] = raised.value.faults
    assert (fault.file, fault.key, fault.mend) == (str(file), "listeners.0.profile", 'Did you mean "mirth"?')


def test_every_quirk_can_be_written_in_a_file_and_is_explained(tmp_path: Path) -> None:
    assert profile(tmp_path, f"quirks = {list(QUIRKS)}").quirks == frozenset(QUIRKS)
    text = (shipped().parent / "README.md").read_text()
    assert all(f"# {quirk}:" in text for quirk in QUIRKS)

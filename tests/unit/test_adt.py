"""What a message means to a listener: an update of a person, or why there is nothing to apply."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from hl7_listener import escapes
from hl7_listener.acknowledgment import AckCode
from hl7_listener.adt import interpret
from hl7_listener.arrival import Ignored, Meaning, Refused, Unanswered
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from hl7_listener.person_event import MergePeople
from hl7_listener.sender_profile import SenderProfile
from patient_records.instants import from_micros
from patient_records.model import BirthDate, ContactPoint, Identifier
from patient_records.update import ERASED, OMITTED, DeathNews, PatientUpdate

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LISTENER = ListenerOptions("pas", "127.0.0.1", 0, "RX1", ZoneInfo("Europe/London"))


def message(  # one keyword for each thing that a test varies
    kind: str = "ADT^A28",
    *,
    process: str = "P",
    version: str = "2.5",
    msh_7: str = "20260601110000",
    evn: str = "EVN||20260601103000",
    more: str = "",
    **pid: str,
) -> bytes:
    """Build a message; ``pid`` are fields by number, as in ``f7="1980"``."""
    fields = {"f3": "1^^^RX1^MR", "f5": "Test^Tess", **pid}
    line = "PID|" + "|".join(fields.get(f"f{number}", "") for number in range(1, 40))
    header = f"MSH|^~\\&|PAS|RX1|DS|RX1|{msh_7}||{kind}|1|{process}|{version}"
    return f"{header}\r{evn}\r{line}\r{more}".encode()


def meaning(raw: bytes, listener: ListenerOptions = LISTENER, received_at: datetime = NOW) -> Meaning:
    return interpret(read(raw), listener, SenderProfile(), received_at)


def update(raw: bytes, received_at: datetime = NOW) -> PatientUpdate:
    found = meaning(raw, received_at=received_at)
    assert isinstance(found, PatientUpdate)
    return found


def test_a_merge_of_more_people_than_are_looked_at_is_refused_and_not_cut_short() -> None:
    """Answered AA, those behind the last one would stay unmerged for ever, and nobody would know."""
    hundred, more = (meaning(message("ADT^A40", more="MRG|2^^^RX1^MR\r" * count)) for count in (100, 101))
    assert not isinstance(hundred, Refused)
    assert isinstance(more, Refused)
    assert (more.code, [fault.location.sequence for fault in more.faults]) == ("AE", [101])


# ---- may it be taken -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", ["A28", "A31", "A05", "A04", "A01", "A08"])
def test_six_events_make_or_update_a_person(event: str) -> None:
    assert update(message(f"ADT^{event}")).event == event


@pytest.mark.parametrize("kind", ["ADT^A35", "ADT^A41", "ADT^A44", "ORU^R01", "SIU^S12", "MDM^T02", "oru^r01"])
def test_others_are_stored_and_not_applied(kind: str) -> None:
    assert isinstance(meaning(message(kind)), Ignored)


@pytest.mark.parametrize(
    ("changes", "code", "fault"),
    [
        ({"kind": "ORM^O01"}, "AR", "200"),
        ({"kind": "QRY"}, "AR", "200"),
        ({"kind": ""}, "AE", "101"),
        ({"kind": "ADT"}, "AE", "101"),
        ({"version": "3.0"}, "AR", "203"),
        ({"version": "20"}, "AR", "203"),
        ({"process": "X"}, "AR", "202"),
        ({"f3": ""}, "AE", "101"),
        ({"f3": '""'}, "AE", "101"),
        ({"f3": "9990000019^^^NHS^NH"}, "AE", "102"),
    ],
)
def test_a_refusal_names_its_code(changes: dict[str, str], code: str, fault: str) -> None:
    found = meaning(message(**changes))
    assert isinstance(found, Refused)
    assert (found.code, found.faults[0].code) == (code, fault)


@pytest.mark.parametrize("version", ["", '""', "2", "2.1", "2.9", "2.5.1", "2.5^GBR"])
def test_any_version_2_passes(version: str) -> None:
    assert update(message(version=version)).event == "A28"


@pytest.mark.parametrize(
    ("process", "passes"),
    [("", True), ('""', True), ("p", True), ("P^T", True), ("T", False), ("D", False)],
)
def test_processing_ids_are_the_listener_s_and_an_empty_one_is_p(process: str, *, passes: bool) -> None:
    found = meaning(message(process=process), replace(LISTENER, processing_ids=("P",)))
    assert isinstance(found, PatientUpdate if passes else Refused)


def test_without_pid_there_is_nobody() -> None:
    found = meaning(b"MSH|^~\\&|A|B|C|D|2026||ADT^A28|1|P|2.5\rPIDX|1\r")
    assert isinstance(found, Refused)
    assert (found.code, found.faults[0].code) == (AckCode.AE, "100")


def test_an_acknowledgment_is_not_answered_and_waits_for_nobody() -> None:
    assert meaning(message("ACK^A28")) == Unanswered("an acknowledgment is not answered", waits=False)


# ---- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("evn", "msh_7", "at"),
    [
        ("EVN||20260601103000", "20260601110000", datetime(2026, 6, 1, 9, 30, tzinfo=UTC)),
        ("EVN|A28|", "20260601110000", datetime(2026, 6, 1, 10, tzinfo=UTC)),
        ("", "20260601110000+0000", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ('EVN||""', "20260601110000+0000", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("EVN||nonsense", "20260601110000+0000", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("EVN||nonsense", "nonsense", NOW),
        ("", "", NOW),
        ("EVN||20260602110000+0000", "", NOW + timedelta(hours=23)),
        ("EVN||20280101", "", NOW + timedelta(days=1)),
    ],
    ids=["EVN-2", "MSH-7", "no EVN", "null", "nonsense", "all nonsense", "neither", "a clock ahead", "the far future"],
)
def test_the_event_s_instant_is_evn_2_else_msh_7_else_receipt(evn: str, msh_7: str, at: datetime) -> None:
    assert from_micros(update(message(evn=evn, msh_7=msh_7)).event_at) == at


@pytest.mark.parametrize(
    ("evn", "msh_7", "finding"),
    [
        ("EVN||20280101", "", "event_in_future:EVN-2"),
        ("", "20280101", "event_in_future:MSH-7"),
        ("EVN||nonsense", "20260601", "date_unusable:EVN-2"),
    ],
)
def test_an_odd_time_of_an_event_is_a_finding(evn: str, msh_7: str, finding: str) -> None:
    assert update(message(evn=evn, msh_7=msh_7)).findings == (finding,)


@pytest.mark.parametrize(
    ("evn", "msh_7", "at"),
    [
        ("20260531", "", datetime(2026, 5, 31, 22, 59, 59, 999_999, tzinfo=UTC)),
        ("20260601", "", NOW),
        ("20260601", "20260601110000+0000", datetime(2026, 6, 1, 11, tzinfo=UTC)),
        ("202606011030+0000", "20260601", datetime(2026, 6, 1, 10, 30, 59, 999_999, tzinfo=UTC)),
        ("20260601+0000", "20260531", datetime(2026, 6, 1, tzinfo=UTC)),
        ("20260602", "20260601110000+0000", datetime(2026, 6, 1, 23, tzinfo=UTC)),
    ],
    ids=["its end", "not behind its receipt", "nor behind its making", "a minute", "made before it", "tomorrow"],
)
def test_a_coarse_time_counts_as_its_end_when_it_can_have_been_then(evn: str, msh_7: str, at: datetime) -> None:
    assert from_micros(update(message(evn=f"EVN||{evn}", msh_7=msh_7)).event_at) == at


def test_a_coarse_time_is_not_older_than_a_precise_one_that_came_before() -> None:
    precise = update(message(evn="EVN||20260601103000"))
    for coarse in ("20260601", "2026060110", "202606011030"):
        assert update(message(evn=f"EVN||{coarse}")).event_at >= precise.event_at


def test_while_our_clock_is_slow_each_event_is_newer_than_the_last() -> None:
    slow = [NOW - timedelta(days=50, seconds=seconds) for seconds in (2, 1, 0)]
    instants = [update(message(evn="EVN||20260601103000"), at).event_at for at in slow]
    assert instants == sorted(set(instants))


# ---- who -------------------------------------------------------------------------------------------------------------

MRN = Identifier("RX1", "MR", "1", "RX1")


@pytest.mark.parametrize(
    ("fields", "identifiers"),
    [
        ({"f3": "1^^^RX1^MR~9990000018^^^NHS^NH"}, (MRN, Identifier("NHS", "NH", "9990000018"))),
        ({"f3": "1^^^RX1^MR~1^^^RX1^MR~~^^^RX1^MR"}, (MRN,)),
        ({"f3": "", "f2": "1^^^RX1^MR", "f4": "2^^^RX1^MR"}, (MRN,)),
        ({"f3": "9990000019^^^NHS^NH", "f4": "1^^^RX1^MR"}, (MRN,)),
        ({"f3": " 1 ^^^rx1&1.2.3&ISO^mr"}, (MRN,)),
        ({"f3": "1^^^&1.2.3&ISO^MR"}, (Identifier("1.2.3", "MR", "1", "RX1"),)),
        ({"f3": "1"}, (Identifier("", "", "1", "RX1"),)),
        ({"f3": "A\\T\\B^^^RX1^MR"}, (Identifier("RX1", "MR", "A&B", "RX1"),)),
    ],
)
def test_identifiers(fields: dict[str, str], identifiers: tuple[Identifier, ...]) -> None:
    assert update(message(**fields)).identifiers == identifiers


def test_a_number_without_its_check_digit_is_a_finding_and_loses_nothing_else() -> None:
    found = update(message(f3="9990000019^^^NHS^NH~1^^^RX1^MR"))
    assert (found.identifiers, found.findings) == ((MRN,), ("identifier_unusable:PID-3",))


@pytest.mark.parametrize(
    ("raw", "reason", "code", "field"),
    [
        (message(f3=""), "required field missing: PID-3", "101", 3),
        (message(f3='""'), "required field missing: PID-3", "101", 3),
        (message(f3="9990000019^^^NHS^NH"), "no usable identifier: PID-3", "102", 3),
        (message(f3="", f2="9990000019^^^NHS^NH"), "no usable identifier: PID-2", "102", 2),
        (message("ADT^A40", more="MRG|\r"), "required field missing: MRG-1", "101", 1),
        (message("ADT^A40", more='MRG|""\r'), "required field missing: MRG-1", "101", 1),
        (message("ADT^A40", more="MRG|9990000019^^^NHS^NH\r"), "no usable identifier: MRG-1", "102", 1),
        (message("ADT^A24", more="PID|2||9990000019^^^NHS^NH\r"), "no usable identifier: PID-3", "102", 3),
    ],
)
def test_who_sent_a_number_that_cannot_be_is_not_told_that_it_is_missing(
    raw: bytes, reason: str, code: str, field: int
) -> None:
    found = meaning(raw)
    assert isinstance(found, Refused)
    assert (found.code, found.reason) == ("AE", reason)
    assert [(fault.code, fault.location.field) for fault in found.faults] == [(code, field)]


def test_a_prior_number_that_cannot_be_is_a_finding_beside_one_that_can() -> None:
    found = meaning(message("ADT^A40", more="MRG|2^^^RX1^MR~9990000019^^^NHS^NH\r"))
    assert isinstance(found, MergePeople)
    assert found.groups[0].update.findings == ("identifier_unusable:MRG-1",)


def test_far_too_many_repetitions_are_a_finding() -> None:
    found = update(message(f3="~".join(f"{number}^^^RX1^MR" for number in range(500))))
    assert len(found.identifiers) == 50
    assert "too_many_repetitions:PID-3" in found.findings


# ---- what ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["f5", "f7", "f8", "f11", "f13", "f14", "f15"])
@pytest.mark.parametrize(("text", "said"), [("", OMITTED), ('""', ERASED)])
def test_empty_leaves_and_null_erases(field: str, text: str, said: object) -> None:
    name = {"f5": "names", "f7": "birth", "f8": "sex", "f11": "addresses", "f13": "home", "f14": "work"}.get(
        field, "language"
    )
    assert getattr(update(message(**{field: text})), name) is said


@pytest.mark.parametrize(
    ("text", "digits", "findings"),
    [
        ("19800229", "19800229", ()),
        ("198002291530", "19800229", ()),
        ("1980-02-29", "19800229", ()),
        ("198002", "198002", ()),
        ("1980", "1980", ()),
        ("19810229", None, ("date_impossible:PID-7",)),
        ("00000000", None, ("date_impossible:PID-7",)),
        ("unknown", None, ("date_unusable:PID-7",)),
        ("١٩٨٠٠٢٢٩", None, ("date_unusable:PID-7",)),
        ("19", None, ("date_unusable:PID-7",)),
    ],
)
def test_a_date_of_birth_keeps_its_precision(text: str, digits: str | None, findings: tuple[str, ...]) -> None:
    found = update(message(f7=text))
    assert found.birth == (OMITTED if digits is None else BirthDate(digits))
    assert found.findings == findings


@pytest.mark.parametrize(
    ("indicator", "on", "news"),
    [
        ("Y", "", DeathNews(dead=True)),
        ("y", "20260101", DeathNews(dead=True, on="20260101")),
        ("", "20260101", DeathNews(dead=True, on="20260101")),
        ("N", "20260101", DeathNews(dead=True, on="20260101")),
        ("N", "", DeathNews(dead=False)),
        ('""', "", DeathNews(dead=False)),
        ("", '""', DeathNews(dead=False)),
        ("", "^D", None),
        ("", "", None),
        ("", "1999", DeathNews(dead=True, on="1999")),
        ("", "199912", DeathNews(dead=True, on="199912")),
        ("", "2026-01-01 10:00", DeathNews(dead=True, on="2026-01-01 10:00")),
        ("", "20260101100000.123+0000", DeathNews(dead=True, on="20260101100000.123+0000")),
    ],
)
def test_death(indicator: str, on: str, news: DeathNews | None) -> None:
    assert update(message(f30=indicator, f29=on)).death == news


NO_DATES = ["0", "00000000", "1", "19", "0001", "00010101", "1849", "9999", "99991231", "20260230", "²²²²", "?", "U"]


@pytest.mark.parametrize("on", [*NO_DATES, "2" * 2000])
def test_filling_in_the_date_of_death_makes_nobody_dead(on: str) -> None:
    for indicator, news in (("", None), ("N", DeathNews(dead=False)), ("Y", DeathNews(dead=True))):
        found = update(message(f29=on, f30=indicator))
        assert (found.death, found.findings) == (news, ("date_unusable:PID-29",))


@pytest.mark.parametrize(
    ("field", "said", "findings"),
    [
        ("^PRN^CP", OMITTED, ("contact_unusable:PID-13",)),
        ("unknown", OMITTED, ("contact_unusable:PID-13",)),
        ("^PRN^CP~none", OMITTED, ("contact_unusable:PID-13",)),
        ("^^~^", OMITTED, ()),
        ('""^PRN^CP', ERASED, ()),
        ('""~^PRN^CP', ERASED, ()),
        ('""~unknown', OMITTED, ("contact_unusable:PID-13",)),
        ('""~07700900123', (ContactPoint("mobile", "+447700900123"),), ()),
        ("^PRN^CP~07700900123", (ContactPoint("mobile", "+447700900123"),), ()),
        ("~" * 30 + "07700900123", OMITTED, ("too_many_repetitions:PID-13",)),
    ],
)
def test_only_a_null_erases_contacts(field: str, said: object, findings: tuple[str, ...]) -> None:
    found = update(message(f13=field))
    assert (found.home, found.findings) == (said, findings)


def test_of_a_long_text_no_more_is_unescaped_than_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    unescaped = 0

    def characters(data: bytes, charset: str) -> str:
        nonlocal unescaped
        unescaped += len(data)
        return data.decode(charset)

    monkeypatch.setattr(escapes, "_characters", characters)
    many = "\\X41\\" * 20_000
    row = "~".join(["^".join([many] * 7)] * 2)
    found = update(message(f5=row, f11=row, f13=many, f15=many, f7=many, f29=many, f30=many, f3=f"{many}~1^^^{many}~1"))
    assert isinstance(found.names, tuple)
    assert found.names[0].family == "A" * 200
    assert unescaped <= 28 * 200
    assert {"identifier_unusable:PID-3", "date_unusable:PID-7", "date_unusable:PID-29"} <= set(found.findings)


def test_flags_of_confidentiality_and_the_number_s_status() -> None:
    found = update(message(more="PD1|||||||||||n|y\rPV1||||||||||||||||v", f32="02"))
    assert (found.publicity, found.protection, found.vip, found.number_status) == ("N", "Y", "V", "02")


def test_no_content_in_findings_or_reprs() -> None:
    found = update(message(f7="Kanari", f13="Kanari@@x", f3="9990000019^^^NHS^NH~1^^^RX1^MR"))
    assert found.findings
    assert "Kanari" not in repr(found) + " ".join(found.findings)

"""Every fixture has the effect that is written beside it.

A story (the messages that are given, then the one that it is about) runs on a database of its own. A message without
an expectation, or an expectation without a message, fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hl7_listener.arrival import Settled
from hl7_listener.framing import Frame, FrameDecoder, Junk, Oversize
from invites.eligibility import Eligible, Policy, assess
from patient_records.model import EMAIL, MOBILE, PatientRecord
from tests.support.fixtures import ADT, FRAMES, Fixture, FrameFixture, RecordFacts, fixtures, frame_fixtures
from tests.support.hospital import Hospital, unframed
from tests.support.mllp import msa


@pytest.fixture
def hospital(sqlite_url: str) -> Iterator[Hospital]:
    hospital = Hospital(sqlite_url)
    yield hospital
    hospital.close()


@pytest.mark.parametrize("fixture", fixtures(), ids=lambda fixture: fixture.name)
def test_a_message_has_the_effect_that_is_written_beside_it(hospital: Hospital, fixture: Fixture) -> None:
    settled = [hospital.send(message.raw)[0] for message in fixture.story][-1]
    assert settled.outcome == fixture.expected.outcome
    assert set(fixture.expected.findings) <= set(settled.findings)
    if fixture.expected.changes is not None:
        assert settled.changes == fixture.expected.changes
    if fixture.expected.acts is not None:
        assert hospital.acts(settled.journal_id) == fixture.expected.acts
    check_answer(fixture, settled)
    facts = fixture.expected.record
    if facts is not None:
        record = hospital.find(facts.identifier)
        assert record is not None, "nobody has that identifier"
        check_record(facts, record)
        assert [hospital.find(value) for value in facts.same_as] == [record] * len(facts.same_as)
        assert record not in [hospital.find(value) for value in facts.apart_from]


def check_answer(fixture: Fixture, settled: Settled) -> None:
    answer = unframed(settled.answer)
    if not fixture.expected.answer:
        assert answer == b"", "silence was asked for"
        return
    code, control_id, text = msa(answer)
    assert code == fixture.expected.answer
    assert text.startswith(fixture.expected.text), text
    wanted = fixture.expected.control_id
    assert control_id == (settled.arrival.header.control_id if wanted is None else wanted)
    errors = [line for line in answer.decode("latin-1").split("\r") if line.startswith("ERR")]
    assert [line.split("|")[3].split("^")[0] for line in errors] == [fixture.expected.error] * bool(
        fixture.expected.error
    )


def check_record(facts: RecordFacts, record: PatientRecord) -> None:
    person = record.demographics
    assessment = assess(record, Policy(), datetime.now(UTC).date(), invited=False)
    assert isinstance(assessment, Eligible) == facts.eligible, assessment
    if not isinstance(assessment, Eligible):
        assert assessment.reasons[0] == facts.reason
    known = {
        "family": person.name.family if person.name else "",
        "given": person.name.given if person.name else "",
        "birth": person.birth.digits if person.birth else "",
        "mobiles": tuple(point.value for point in person.contacts(MOBILE)),
        "emails": tuple(point.value for point in person.contacts(EMAIL)),
        "postcode": person.addresses[0].postcode if person.addresses else "",
        "dead": person.death is not None,
    }
    wanted = {name: getattr(facts, name) for name in known if getattr(facts, name) is not None}
    assert {name: known[name] for name in wanted} == wanted


@pytest.mark.parametrize("fixture", frame_fixtures(), ids=lambda fixture: fixture.name)
def test_a_stream_has_the_frames_that_are_written_beside_it(hospital: Hospital, fixture: FrameFixture) -> None:
    decoder = FrameDecoder()
    events = [event for octet in fixture.stream for event in decoder.feed(bytes([octet]))] + decoder.close()
    frames = [event.payload for event in events if isinstance(event, Frame)]
    answers = [msa(unframed(settled.answer))[0] for settled in hospital.send(*frames)]
    assert tuple(answers) == fixture.expected.answers
    assert len([event for event in events if isinstance(event, Junk)]) == fixture.expected.kept
    assert any(isinstance(event, Oversize) for event in events) == fixture.expected.closes


@pytest.mark.parametrize(("folder", "suffix"), [(ADT, ".hl7"), (FRAMES, ".mllp")])
def test_every_message_has_an_expectation_and_every_expectation_a_message(folder: Path, suffix: str) -> None:
    messages = {path.stem for path in folder.glob(f"*{suffix}")}
    assert messages == {path.stem for path in folder.glob("*.toml")}
    assert {path.suffix for path in folder.iterdir()} == {suffix, ".toml"}
    assert len(messages) >= 6

"""The demo's feed: every kind in it, nobody real in it, the same each time, and it counts what must become of it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from itertools import islice

import hl7
import pytest

from daemon.demo_feed import DemoMessage, Kind, expected, feed
from daemon.demo_people import People, check_digit, nhs_number
from invites.eligibility import Reason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MAKES_A_PERSON = set(Kind) - {Kind.CONTACT_COMES, Kind.UPDATE, Kind.DUPLICATE, Kind.AMBIGUOUS, Kind.NO_HEADER}
MAKES_A_PERSON -= {Kind.NO_NAME, Kind.WRONG_TYPE}


def identifiers(message: DemoMessage) -> list[str]:
    pid = next(line for line in message.raw.decode().split("\r") if line.startswith("PID"))
    return [repetition.split("^")[0] for repetition in pid.split("|")[3].split("~")]


def field(message: DemoMessage, number: int) -> str:
    return str(hl7.parse(message.raw.decode()).segment("PID")(number))


def test_the_same_seed_gives_the_same_feed_and_another_seed_another() -> None:
    assert feed(seed=4, now=NOW) == feed(seed=4, now=NOW)
    assert feed(seed=4, now=NOW) != feed(seed=5, now=NOW)


@pytest.mark.parametrize("patients", [20, 240, 1000])
def test_every_kind_occurs_and_every_person_is_counted(patients: int) -> None:
    messages = feed(patients, now=NOW)
    counts = expected(messages)
    assert {message.kind for message in messages} >= MAKES_A_PERSON | {Kind.AMBIGUOUS, Kind.CONTACT_COMES}
    assert counts["created"] == patients
    reasons = {str(reason) for reason in Reason if reason is not Reason.HELD} & set(counts)  # held: the messages
    assert reasons == {"under_age", "no_date_of_birth", "deceased", "no_contact"}
    assert counts["eligible"] + sum(counts[reason] for reason in reasons) == patients
    assert counts["sms"] + counts["email"] + counts["letter"] == counts["eligible"]
    handled = counts["created"] + counts["updated"] + counts["duplicate"] + counts["held"] + counts["refused"]
    assert handled == counts["received"] == len(messages)


def test_no_two_people_share_an_identifier_but_for_the_ambiguous_messages() -> None:
    owners: dict[str, bytes] = {}
    messages = feed(2000, now=NOW)
    for message in messages:
        if message.kind in MAKES_A_PERSON:
            for value in identifiers(message):
                assert owners.setdefault(value, message.raw) == message.raw
    for message in messages:
        if message.kind is Kind.AMBIGUOUS:
            assert len({owners[value] for value in identifiers(message)}) == 2


def test_what_follows_about_a_person_follows() -> None:
    messages = feed(500, now=NOW)
    seen: set[str] = set()
    raws: set[bytes] = set()
    for message in messages:
        if message.kind in {Kind.UPDATE, Kind.CONTACT_COMES, Kind.AMBIGUOUS}:
            assert set(identifiers(message)) <= seen
        if message.kind is Kind.DUPLICATE:
            assert message.raw in raws
        if message.kind in MAKES_A_PERSON:
            seen.update(identifiers(message))
        raws.add(message.raw)
    kinds = [message.kind for message in messages]
    assert set(kinds[kinds.index(Kind.AMBIGUOUS) :]) == {Kind.AMBIGUOUS}


def test_everything_about_anybody_is_in_a_range_kept_for_tests() -> None:
    text = b"\r".join(message.raw for message in feed(500, now=NOW)).decode()
    assert all(number.startswith("999") for number in re.findall(r"(\d{10})\^\^\^NHS", text))
    assert set(re.findall(r"@([\w.]+)", text)) == {"example.org", "example.net", "example.com"}
    phones = {re.sub(r"\D", "", found)[-10:] for found in re.findall(r"[|^](\+?[0-9 ]{10,14})\^(?:PRN|ORN)", text)}
    assert phones
    assert all(phone.startswith(("7700900", "1632960")) for phone in phones)


def test_children_are_children_today_and_the_others_of_age() -> None:
    for message in feed(500, now=NOW):
        if message.kind in {Kind.CHILD, Kind.MOBILE}:
            years = (NOW.date() - date.fromisoformat(field(message, 7))).days / 365.25
            assert years < 16 if message.kind is Kind.CHILD else years >= 17.9


def test_nothing_happens_in_the_future() -> None:
    stamps = [raw.split(b"|")[6] for raw in (message.raw for message in feed(20, now=NOW)) if raw.startswith(b"MSH")]
    assert max(stamps) <= NOW.strftime("%Y%m%d%H%M%S+0000").encode()


def test_malformed_messages_are_malformed() -> None:
    by_kind = {message.kind: message for message in feed(now=NOW)}
    assert not by_kind[Kind.NO_HEADER].raw.startswith(b"MSH")
    assert field(by_kind[Kind.NO_NAME], 5) == ""
    assert b"|ORM^O01|" in by_kind[Kind.WRONG_TYPE].raw
    assert [by_kind[kind].answer for kind in (Kind.NO_HEADER, Kind.NO_NAME, Kind.WRONG_TYPE)] == ["AR", "AE", "AR"]


def test_a_demo_is_never_too_small_for_its_kinds() -> None:
    with pytest.raises(ValueError, match="at least 20"):
        feed(19)


@pytest.mark.parametrize(("nine", "digit"), [("943476591", 9), ("401023213", 7), ("999000000", 10)])
def test_check_digits(nine: str, digit: int) -> None:
    assert check_digit(nine) == digit


def test_one_serial_in_eleven_has_no_check_digit_and_no_number_comes_twice() -> None:
    assert len([serial for serial in range(11_000) if nhs_number(serial)]) == 10_000
    people = People(1, NOW.date())
    given = [person.nhs_number for person in islice(iter(people.adult, None), 20_000) if person.nhs_number]
    assert len(set(given)) == len(given)


def test_nobody_shows_in_a_repr() -> None:
    person = People(1, NOW.date()).adult()
    assert person.family not in repr(person)
    assert repr(feed(20, now=NOW)[0]) == "<DemoMessage ***>"

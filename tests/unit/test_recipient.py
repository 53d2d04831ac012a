"""Who can be reached, and where post may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.recipient import full_name, obstacle, reachable, usable_channels
from patient_records.model import Address, ContactPoint, Demographics, PersonName
from tests.support.invitation_texts import PATIENT, patient

CHANNELS = ("sms", "email", "letter")
HOME = Address(("12 Rosemount Terrace",), "Leeds", "", "LS1 4AP", "GBR", "H")


def envelope(*addresses: Address, name: PersonName | None = None) -> tuple[str, ...] | None:
    """Give the lines of the letter to somebody with these addresses."""
    names = PATIENT.names if name is None else (name,)
    recipient = reachable(Demographics(names=names, addresses=addresses), "letter")
    return None if recipient is None else recipient.lines


def test_usable_channels_keep_the_order_they_are_allowed_in() -> None:
    assert usable_channels(PATIENT, ("letter", "sms")) == ("letter", "sms")
    assert usable_channels(PATIENT, CHANNELS) == CHANNELS


def test_a_channel_nobody_has_heard_of_is_not_usable() -> None:
    assert usable_channels(PATIENT, ("pigeon",)) == ()
    assert reachable(PATIENT, "pigeon") is None
    assert obstacle(PATIENT, "pigeon") == "no_such_channel"


def test_a_mobile_at_home_comes_before_one_at_work() -> None:
    person = Demographics(
        home=(ContactPoint("mobile", "+447700900001"),), work=(ContactPoint("mobile", "+447700900002"),)
    )
    found = reachable(person, "sms")
    assert found is not None
    assert found.to == "+447700900001"


@pytest.mark.parametrize("value", ["07700900123", "+447700900123\nBcc: x", "+44", "+0123456789", ""])
def test_what_is_not_e164_is_passed_over(value: str) -> None:
    person = Demographics(home=(ContactPoint("mobile", value),), work=(ContactPoint("mobile", "+447700900002"),))
    found = reachable(person, "sms")
    assert found is not None
    assert found.to == "+447700900002"


def test_a_landline_gets_no_text_message() -> None:
    assert obstacle(Demographics(home=(ContactPoint("landline", "+441132000000"),)), "sms") == "no_mobile_number"


@pytest.mark.parametrize(
    "value",
    ["a@b@example.org", "a@example.org\r\nBcc: x@example.org", "a@localhost", "a b@example.org", "@example.org",
     "a..b@example.org", "a.@example.org", "ämara@example.org", '"a"@example.org', "a@ex ample.org",
     "x" * 250 + "@a.uk"],
)  # fmt: skip
def test_an_address_that_would_need_quoting_is_no_email_address(value: str) -> None:
    person = Demographics(home=(ContactPoint("email", value),))
    assert reachable(person, "email") is None
    assert obstacle(person, "email") == "no_email_address"


def test_a_domain_beyond_ascii_is_written_as_in_a_header() -> None:
    found = reachable(Demographics(home=(ContactPoint("email", "a@bücher.example"),)), "email")
    assert found is not None
    assert found.to == "a@xn--bcher-kva.example"


def test_post_goes_home_rather_than_to_the_office() -> None:
    office = Address(("Unit 1",), "Hull", "", "HU1 1AA", "", "B")
    assert envelope(office, HOME) == ("Ms Amara Okafor", "12 Rosemount Terrace", "Leeds", "LS1 4AP")
    assert envelope(office) == ("Ms Amara Okafor", "Unit 1", "Hull", "HU1 1AA")


@pytest.mark.parametrize("use", ["BA", "N", "BDL", "BR"])
def test_nothing_goes_to_a_bad_address_or_a_birthplace(use: str) -> None:
    bad = Address(("12 Rosemount Terrace",), "Leeds", "", "LS1 4AP", "", use)
    assert envelope(bad) is None
    assert obstacle(Demographics(names=PATIENT.names, addresses=(bad,)), "letter") == "no_postal_address"


@pytest.mark.parametrize("address", [
    Address(("HMP Leeds",), "Leeds", "", "LS12 2TJ"),
    Address(("A Wing,HMP Leeds",), "Leeds", "", "LS12 2TJ"),
    Address(("c/o H.M.P. Leeds",), "Leeds", "", "LS12 2TJ"),
    Address(("hm prison", "2 Gloucester Terrace"), "Leeds"),
    Address(("H.M. Prison",), "Leeds"),
    Address(("HMYOI Wetherby",), "Wetherby"),
    Address(("HMP/YOI Isis",), "London"),
    Address(("Young Offenders Institution",), "Wetherby"),
    Address(("Her Majesty's Prison",), "Leeds"),
    Address(("His Majesty\u2019s Prison Leeds",), "Leeds"),
    Address(("Wakefield Prison", "5 Love Lane"), "Wakefield"),
    Address(("C Wing, Wakefield Prison, 5 Love Lane",), "Wakefield"),
    Address(("Armley Road",), "HMP LEEDS", "", "LS12 2TJ"),
])  # fmt: skip
def test_no_letter_goes_to_a_prison(address: Address) -> None:
    person = Demographics(names=PATIENT.names, addresses=(address,))
    assert usable_channels(person, CHANNELS) == ()
    assert obstacle(person, "letter") == "prison_address"


@pytest.mark.parametrize("address", [
    Address(("NFA",), "Leeds"),
    Address(("N.F.A.",), "Leeds"),
    Address(("N/F/A",), "Leeds"),
    Address(("N F A",), "Leeds"),
    Address(("No fixed abode",), "Leeds"),
    Address(("OF NO FIXED ADDRESS",), "Leeds"),
    Address(("Address not known",), "Leeds"),
    Address(("No abode",), "Leeds"),
    Address(("Homeless",), "Leeds"),
    Address(("UNKNOWN",), "UNKNOWN", "", "LS1 4AP"),
    Address(("Somewhere",), "Leeds", "", "ZZ99 3VZ"),
    Address(("Somewhere",), "", "", "zz993vz"),
])  # fmt: skip
def test_no_letter_goes_to_nowhere(address: Address) -> None:
    person = Demographics(names=PATIENT.names, addresses=(address,))
    assert usable_channels(person, CHANNELS) == ()
    assert obstacle(person, "letter") == "no_fixed_abode"


@pytest.mark.parametrize("line", [
    "4 Prison Lane", "The Old Prison House", "2 The Old Prison", "Majesty House", "Homelessness Advice Centre",
    "Richmond House", "9 Hmong Street", "Unknown Soldier Court",
    "Toyoida Villas", "12 Nfarm Road", "1 Snfa Way", "3 Rhm Park",
])  # fmt: skip
def test_a_street_that_only_sounds_like_one_gets_its_letter(line: str) -> None:
    assert envelope(Address((line,), "Leeds", "", "LS1 4AP")) is not None


def test_whoever_is_in_prison_is_not_at_home_either() -> None:
    assert envelope(HOME, Address(("HMP Leeds",), "Leeds", "", "", "", "C")) is None
    assert envelope(HOME, Address(("HMP Leeds",), "Leeds", "", "", "", "BA")) is not None  # left long ago


def test_an_address_needs_a_line_and_a_town_or_postcode() -> None:
    assert envelope(Address((), "Leeds", "", "LS1 4AP")) is None
    assert envelope(Address(("12 Rosemount Terrace",))) is None
    assert envelope(Address((".",), "Leeds")) is None
    assert envelope(Address(("12 Rosemount Terrace",), "", "", "LS1 4AP")) is not None


def test_a_letter_needs_a_name() -> None:
    nameless = Demographics(names=(PersonName(prefix="Ms"),), addresses=(HOME,))
    assert usable_channels(nameless, CHANNELS) == ()
    assert obstacle(nameless, "letter") == "no_name"
    assert obstacle(patient(names=()), "letter") == "no_name"


def test_the_postcode_is_printed_as_royal_mail_prints_it() -> None:
    assert envelope(Address(("1 High St",), "Leeds", "", "ls14ap")) == (
        "Ms Amara Okafor",
        "1 High St",
        "Leeds",
        "LS1 4AP",
    )


def test_a_town_that_is_a_line_already_is_not_printed_twice() -> None:
    lines = envelope(Address(("1 High St", "LEEDS", "LS1 4AP"), "Leeds", "Leeds", "LS1 4AP"))
    assert lines == ("Ms Amara Okafor", "1 High St", "Leeds", "LS1 4AP")


def test_a_town_alone_is_no_address() -> None:
    for address in (
        Address(("Leeds",), "LEEDS"),
        Address(("LS1 4AP",), "", "", "ls1  4ap"),
        Address(("B",), "", "", "b"),
    ):
        assert usable_channels(Demographics(names=PATIENT.names, addresses=(address,)), CHANNELS) == ()
        assert envelope(address) is None


def test_the_country_stands_last_on_a_letter_abroad() -> None:
    lines = envelope(Address(("1 Rue Haute",), "Lille", "", "59000", "France"))
    assert lines == ("Ms Amara Okafor", "1 Rue Haute", "Lille", "59000", "FRANCE")


@pytest.mark.parametrize(("code", "name"), [("FRA", "FRANCE"), ("ie", "IRELAND"), ("XQZ", "XQZ"), ("Éire", "ÉIRE")])
def test_a_country_s_code_is_written_as_its_name(code: str, name: str) -> None:
    lines = envelope(Address(("1 Rue Haute",), "Lille", "", "59000", code))
    assert lines is not None
    assert lines[-1] == name


@pytest.mark.parametrize(("line", "folded"), [
    ("The Old Coach House, 12 Rosemount Terrace", ("The Old Coach House", "12 Rosemount Terrace")),
    ("The Old Coach House Behind Saint Bartholomew", ("The Old Coach House Behind Saint", "Bartholomew")),
    ("a" * 40 + ", b", ("a" * 40, "b")),
])  # fmt: skip
def test_a_long_line_is_folded_where_people_would(line: str, folded: tuple[str, ...]) -> None:
    lines = envelope(Address((line,), "Leeds", "", "LS1 4AP"))
    assert lines == ("Ms Amara Okafor", *folded, "Leeds", "LS1 4AP")


def test_too_many_lines_lose_the_county_and_then_join() -> None:
    lines = envelope(
        Address(("Room 4", "Floor 2", "Block C", "The Grange", "1 High St"), "Leeds", "Yorkshire", "LS1 4AP")
    )
    assert lines == ("Ms Amara Okafor", "Room 4, Floor 2", "Block C", "The Grange", "1 High St", "Leeds", "LS1 4AP")


def test_half_an_address_is_no_address() -> None:
    person = Demographics(names=PATIENT.names, addresses=(Address(("x" * 41,), "Leeds", "", "LS1 4AP"),))
    assert usable_channels(person, CHANNELS) == ()
    assert obstacle(person, "letter") == "address_unfit"


@pytest.mark.parametrize(("name", "written"), [
    (PersonName("OKAFOR", "AMARA", prefix="MS"), "Ms Amara Okafor"),
    (PersonName("O'BRIEN-MCDONALD", "JO"), "Jo O'Brien-McDonald"),
    (PersonName("NG", "TJ"), "TJ Ng"),
    (PersonName("van der Berg", "Émile"), "Émile van der Berg"),
    (PersonName("ÖZGÜR", "ŞULE"), "Şule Özgür"),
    (PersonName("Smith", ""), "Smith"),
    (PersonName("", "Amara"), "Amara"),
    (PersonName(" Smith\r\n ", "A\x00\u202emara"), "A mara Smith"),
    (PersonName("Smith", "John", suffix="Jr"), "John Smith Jr"),
])  # fmt: skip
def test_a_name_is_written_as_on_an_envelope(name: PersonName, written: str) -> None:
    assert full_name(name) == written


def test_a_name_wider_than_the_window_keeps_its_initial() -> None:
    name = PersonName("Featherstonehaugh-Cholmondeley", "Maximilian Alexander", prefix="Mr")
    lines = envelope(HOME, name=name)
    assert lines is not None
    assert lines[0] == "Mr M Featherstonehaugh-Cholmondeley"


def test_a_recipient_shows_nobody() -> None:
    found = reachable(PATIENT, "letter")
    assert found is not None
    assert "Okafor" not in f"{found!r}{found}"


WORDS = st.text(st.sampled_from("aB 1,.'-\x00\u202eİß\n"), max_size=50) | st.sampled_from(["a", "B", "LS1 4AP", ""])
PEOPLE = st.builds(
    Demographics,
    names=st.lists(st.builds(PersonName, family=WORDS, given=WORDS, prefix=WORDS, suffix=WORDS), max_size=1).map(tuple),
    addresses=st.lists(
        st.builds(
            Address,
            lines=st.lists(WORDS.filter(bool), max_size=8).map(tuple),
            city=WORDS,
            county=WORDS,
            postcode=st.sampled_from(["", "LS1 4AP", "a", " B", "ls14ap", "ZZ99 3VZ", "59000"]),
            country=st.sampled_from(["", "GBR", "France"]),
            use=st.sampled_from(["", "H", "B", "BA", "C"]),
        ),
        max_size=3,
    ).map(tuple),
)


@given(PEOPLE)
def test_usable_and_reachable_never_disagree(person: Demographics) -> None:
    usable = "letter" in usable_channels(person, CHANNELS)
    assert usable == (reachable(person, "letter") is not None) == (obstacle(person, "letter") is None)


@given(PEOPLE)
def test_every_envelope_fits_its_window(person: Demographics) -> None:
    found = reachable(person, "letter")
    if found is not None:
        assert 3 <= len(found.lines) <= 7
        assert all(0 < len(line) <= 40 and line.isprintable() and line == line.strip() for line in found.lines)

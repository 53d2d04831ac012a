"""The letter of a mail house that prints its own."""

from __future__ import annotations

import msgspec

from invites.channels.batch_manifest import LetterFields
from invites.channels.channel import Refused, Request
from invites.channels.letter_fields import LettersAsFields
from patient_records.model import Address
from tests.support.invitation_texts import invitation, patient


def test_it_carries_all_that_is_printed_and_no_date_of_birth() -> None:
    said = LettersAsFields(large_print=True).render(invitation(language="cy"))
    assert isinstance(said, Request)
    fields = msgspec.json.decode(said.body, type=LetterFields)
    assert fields.address[0] == "Ms Amara Okafor"
    assert (fields.invitation_code, fields.token) == ("23456 78923", "BCDFG HJKLM")
    assert (fields.expires_on, fields.expires) == ("2026-12-22", "22 Rhagfyr 2026")
    assert (fields.language, fields.purpose, fields.large_print) == ("cy", "invitation", True)
    assert b"1984" not in said.body
    assert "Okafor" not in repr(fields)


def test_who_prefers_no_language_has_the_organisation_s() -> None:
    said = LettersAsFields({"RX1": "cy"}).render(invitation())
    assert isinstance(said, Request)
    assert msgspec.json.decode(said.body, type=LetterFields).language == "cy"


def test_it_is_refused_for_what_a_printed_letter_is_refused_for() -> None:
    nowhere = patient(addresses=(Address(("1 Long Lane",), "Leeds"),))
    assert LettersAsFields().render(invitation(nowhere)) == Refused("address_without_postcode")
    assert LettersAsFields().render(invitation(patient(addresses=()))) == Refused("no_postal_address")

"""The text message."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invites.channels.channel import Refused, Request
from invites.channels.sms import Sms
from invites.channels.templates import shipped_templates, with_overrides
from invites.wording.errors import WordingError
from invites.wording.gsm7 import is_gsm7, parts
from invites.wording.wording import Wording
from tests.support.invitation_texts import invitation, patient

SMS = Sms(Wording(shipped_templates()))
PIECES = ("23456 78923", "BCDFG HJKLM")


def test_it_names_the_hospital_and_says_what_to_do() -> None:
    request = SMS.render(invitation())
    assert isinstance(request, Request)
    text = request.body.decode()
    assert (request.channel, request.reference, request.to) == ("sms", "ref-1", "+447700900123")
    for said in ("Example Hospital", "http://127.0.0.1:8081/join#c=2345678923&t=BCDFGHJKLM", *PIECES):
        assert said in text
    assert "22 December 2026" in text
    assert "01632 960000" in text


def test_it_names_no_patient() -> None:
    request = SMS.render(invitation())
    assert isinstance(request, Request)
    assert not any(secret in request.body for secret in (b"Amara", b"Okafor", b"Rosemount", b"1984"))


@given(
    st.text(st.sampled_from("abc '’éŴж€"), max_size=70),
    st.integers(0, 90),
)
def test_code_link_and_token_are_whole_in_two_parts_or_it_is_refused(hospital: str, longer: int) -> None:
    text = invitation(hospital=hospital, url=f"https://{'a' * longer}.example.org")
    request = SMS.render(text)
    if isinstance(request, Refused):
        assert request.code == "sms_too_long"
        return
    cut = parts(request.body.decode())
    assert len(cut) <= 2
    assert all(any(piece in part for part in cut) for piece in (*PIECES, text.join_link))


@pytest.mark.parametrize("hospital", ["Example Hospital", "St Mary’s & King’s Royal Infirmary NHS Foundation Trust"])
def test_an_english_hospital_stays_in_the_gsm_alphabet(hospital: str) -> None:
    request = SMS.render(invitation(hospital=hospital, url="https://records.royal-infirmary.nhs.uk"))
    assert isinstance(request, Request)
    assert is_gsm7(request.body.decode())


def test_a_name_beyond_the_alphabet_goes_as_ucs2_in_the_short_wording() -> None:
    request = SMS.render(invitation(hospital="Больница", url="https://x.example.org"))
    assert isinstance(request, Request)
    assert request.body.decode().startswith("Больница")
    assert len(parts(request.body.decode())) == 2


def test_nobody_without_a_mobile_gets_one() -> None:
    assert SMS.render(invitation(patient(home=()))) == Refused("no_mobile_number")


def test_a_template_cannot_name_the_patient_even_if_it_tries() -> None:
    sms = Sms(Wording(with_overrides({"en/invitation/sms.txt": "Dear {{ name }}"})))
    with pytest.raises(WordingError, match="name"):
        sms.render(invitation())

"""The email: read back by the standard library, it says what it should and nothing else."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from msgspec.structs import replace

from invites.channels.channel import InvitationText, Refused, Request
from invites.channels.email_message import Email
from invites.channels.templates import shipped_templates
from invites.wording.wording import Wording
from patient_records.model import PersonName
from tests.support.invitation_texts import invitation, patient

WORDING = Wording(shipped_templates())


def rendered(text: InvitationText, sender: str = "", domain: str = "") -> Request:
    request = Email(WORDING, sender, domain).render(text)
    assert isinstance(request, Request)
    return request


def read(body: bytes) -> EmailMessage:
    return message_from_bytes(body, policy=default)


def content(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def test_the_headers_are_those_of_an_automatic_message() -> None:
    message = read(rendered(invitation()).body)
    assert dict(message.items()) == {
        "To": "amara@example.org",
        "Date": "Sun, 22 Nov 2026 09:00:00 +0000",
        "Message-ID": "<ref-1@rx1.doorstep.invalid>",
        "From": "Example Hospital <noreply@rx1.doorstep.invalid>",
        "Subject": "See your health record online: your invitation from Example Hospital",
        "Content-Language": "en",
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "MIME-Version": "1.0",
        "Content-Type": message["Content-Type"],
    }


def test_both_bodies_show_codes_link_and_expiry() -> None:
    message = read(rendered(invitation()).body)
    assert not message.defects
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    for kind in ("plain", "html"):
        said = content(message, kind)
        assert "23456 78923" in said
        assert "BCDFG HJKLM" in said
        assert "22 December 2026" in said
        assert "Dear Ms Amara Okafor," in said
        assert "http://127.0.0.1:8081/join#c=2345678923&t=BCDFGHJKLM" in said.replace("&amp;", "&")


def test_the_headers_tell_nothing_of_the_patient_but_their_address() -> None:
    head = rendered(invitation()).body.partition(b"\r\n\r\n")[0]
    assert not any(secret in head for secret in (b"Amara", b"Okafor", b"23456", b"BCDFG", b"1984"))


def test_the_date_of_birth_is_nowhere() -> None:
    body = rendered(invitation()).body
    assert not any(secret in body for secret in (b"1984", b"29 February", b"29/02"))


def test_the_same_invitation_gives_the_same_bytes() -> None:
    assert rendered(invitation()) == rendered(invitation())
    assert rendered(invitation(reference="ref-2")).body != rendered(invitation()).body


def test_opening_it_fetches_nothing() -> None:
    html = content(read(rendered(invitation()).body), "html")
    assert not re.search(r"<(?:img|script|link|iframe|object|form)\b|\bsrc=|url\(|@import", html)
    assert re.findall(r'href="([^"]+)"', html) == ["http://127.0.0.1:8081/join#c=2345678923&amp;t=BCDFGHJKLM"]


def test_a_name_that_is_markup_is_text() -> None:
    person = patient(names=(PersonName("<script>alert(1)</script>", "A\r\nBcc: x@example.org"),))
    message = read(rendered(invitation(person)).body)
    assert "<script" not in content(message, "html")
    assert message["Bcc"] is None


def test_hospitals_with_accents_arrive_whole() -> None:
    name = "St Mary’s Ysbyty Ŵyn & Sons"
    message = read(rendered(invitation(hospital=name)).body)
    assert not message.defects
    assert message["From"].addresses[0].display_name == name
    assert name in message["Subject"]
    assert name in content(message, "plain")
    assert "St Mary&#8217;s" in content(message, "html")


@pytest.mark.parametrize("longer", [60, 900, 2000])
def test_no_line_is_longer_than_a_mail_server_takes(longer: int) -> None:
    body = rendered(invitation(url=f"https://{'a' * longer}.example")).body
    assert max(map(len, body.split(b"\r\n"))) <= 998
    assert b"\n" not in body.replace(b"\r\n", b"")
    assert b"\r" not in body.replace(b"\r\n", b"")
    assert "a" * longer in content(read(body), "plain")
    assert "a" * longer in content(read(body), "html")


def test_the_sender_and_the_domain_can_be_chosen() -> None:
    message = read(rendered(invitation(), 'Records "Team" <records@example.org>', "mail.example.org").body)
    assert message["From"].addresses[0].addr_spec == "records@example.org"
    assert message["Message-ID"] == "<ref-1@mail.example.org>"
    with pytest.raises(ValueError, match="sender"):
        Email(WORDING, "nobody")


def test_each_hospital_writes_under_its_own_name() -> None:
    email = Email(WORDING)
    names = []
    for hospital in ("One", "Two", "One"):
        request = email.render(invitation(hospital=hospital))
        assert isinstance(request, Request)
        names.append(read(request.body)["From"].addresses[0].display_name)
    assert names == ["One", "Two", "One"]


def test_nobody_without_an_address_gets_one() -> None:
    assert Email(WORDING).render(invitation(patient(home=()))) == Refused("no_email_address")


def test_a_request_shows_nobody() -> None:
    request = rendered(invitation())
    assert "amara" not in f"{request!r} {replace(request, to='amara')!r}"

"""Messages that are no invitations go through the same outbox: claimed, checked again, sent once, shredded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default

import pytest
from sqlalchemy import update

from invites.channels import composition
from invites.channels.channel import EMAIL, SMS, Refused, Settlement
from invites.channels.templates import shipped_templates
from invites.content import Content, decode, encode
from invites.mint import API
from invites.outbox import PAYLOAD
from invites.post import Message
from invites.purpose import ADDRESS_IN_USE, CONFIRM_ACCOUNT, PAIR_CODE, PAIR_TOKEN, PURPOSES, RESET_PASSWORD
from invites.tables import outbox
from patient_records.errors import StorageConflict
from patient_records.model import ContactPoint, Standing
from tests.support.outbox_rows import entry
from tests.support.people import DEAD, House, PlainChannel, ScriptedProvider, person

SECRET = "2345678923BCDFGHJKLM"
CONFIRM = Content(link=f"/confirm#k={SECRET}", secret=SECRET, to="Typed@example.net", language="cy")


@pytest.fixture
def house(database_url: str) -> Iterator[House]:
    built = House(database_url)
    yield built
    built.close()


def post(house: House, record_id: int, purpose: str, content: Content = CONFIRM, *, number: int = 1) -> None:
    with house.database.begin() as connection:
        now = house.database.now(connection)
        opened = house.records.load(connection, [record_id], lock=True)[record_id]
        house.post(connection, [Message(opened, purpose, number, EMAIL, content, now + timedelta(hours=24))], now)


def halves(house: House, record_id: int) -> None:
    """A pair of which the code goes by text message and the token by email."""
    with house.database.begin() as connection:
        now = house.database.now(connection)
        opened = house.records.load(connection, [record_id], lock=True)[record_id]
        [made] = house.invites.mint.pairs(connection, [opened], API, now)
        code = Content(code=made.pair.code)
        token = Content(token=made.pair.token)
        house.post(
            connection,
            [
                Message(opened, PAIR_CODE, 1, SMS, code, made.expires_at, made.token_id),
                Message(opened, PAIR_TOKEN, 1, EMAIL, token, made.expires_at, made.token_id),
            ],
            now,
        )


def mail(house: House) -> tuple[ScriptedProvider, Counter[str]]:
    provider = ScriptedProvider()
    report = house.lane(provider, composition.build()[EMAIL]).run()
    return provider, report.outcomes + report.dropped


def test_a_confirmation_goes_to_the_typed_address_in_the_page_s_language_and_names_nobody(house: House) -> None:
    [record_id] = house.arrive([person()])
    post(house, record_id, CONFIRM_ACCOUNT)
    provider, counts = mail(house)
    assert counts == Counter(accepted=1)
    [request] = provider.sent
    assert request.to == "Typed@example.net"
    message = message_from_bytes(request.body, policy=default)
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    for text in (plain.get_content(), html.get_content()):
        assert f"https://join.example/confirm#k={SECRET}" in text
        assert "23456 78923 BCDFG HJKLM" in text
        assert "Lovelace" not in text
        assert "Cadarnh" in text or "Agorwch" in text
    row = entry(house)
    assert (row["state"], row["sealed_payload"], row["sealed_request"]) == ("accepted", None, None)


@pytest.mark.parametrize("purpose", [RESET_PASSWORD, ADDRESS_IN_USE])
@pytest.mark.parametrize("language", ["en", "cy", "fr"])
def test_every_account_mail_renders_in_every_language(house: House, purpose: str, language: str) -> None:
    [record_id] = house.arrive([person()])
    post(house, record_id, purpose, Content(link="/x#k=1", secret=SECRET, to="a@example.net", language=language))
    provider, counts = mail(house)
    assert counts == Counter(accepted=1)
    assert b"https://join.example/x#k=1" in provider.sent[0].body


def test_a_person_without_any_contact_can_still_be_mailed_at_the_typed_address(house: House) -> None:
    [record_id] = house.arrive([person(home=())])
    post(house, record_id, CONFIRM_ACCOUNT)
    assert mail(house)[1] == Counter(accepted=1)


@pytest.mark.parametrize(
    ("purpose", "stopped"), [(CONFIRM_ACCOUNT, True), (RESET_PASSWORD, False), (ADDRESS_IN_USE, False)]
)
def test_registration_stops_what_would_register_again_and_nothing_else(
    house: House, purpose: str, *, stopped: bool
) -> None:
    [record_id] = house.arrive([person()])
    house.change(record_id, standing=Standing(registered_at=datetime.now(UTC)))
    post(house, record_id, purpose)
    assert mail(house)[1] == (Counter(registered=1) if stopped else Counter(accepted=1))


@pytest.mark.parametrize("purpose", [CONFIRM_ACCOUNT, RESET_PASSWORD, ADDRESS_IN_USE, PAIR_CODE])
def test_death_between_queuing_and_sending_stops_everything(house: House, purpose: str) -> None:
    [record_id] = house.arrive([person()])
    post(house, record_id, purpose)
    house.change(record_id, death=DEAD)
    provider, _ = mail(house)
    assert provider.sent == []
    assert (entry(house)["state"], entry(house)["code"]) == ("cancelled", "deceased")


def test_a_link_s_time_over_is_not_sent(house: House) -> None:
    [record_id] = house.arrive([person()])
    post(house, record_id, CONFIRM_ACCOUNT)
    house.later(timedelta(hours=25))
    assert mail(house)[1] == Counter(expired=1)
    assert entry(house)["state"] == "expired"


def test_the_same_number_twice_is_a_conflict(house: House) -> None:
    [record_id] = house.arrive([person()])
    post(house, record_id, CONFIRM_ACCOUNT)
    with pytest.raises(StorageConflict):
        post(house, record_id, CONFIRM_ACCOUNT)
    post(house, record_id, CONFIRM_ACCOUNT, number=2)


def test_an_account_mail_that_failed_leads_to_no_other_channel_and_leaves_the_invitation_be(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    post(house, record_id, CONFIRM_ACCOUNT)
    provider = ScriptedProvider()
    provider.outcome = Refused("no_such_mailbox")
    house.lane(provider, composition.build()[EMAIL]).run()
    invitation, confirmation = house.rows("outbox")
    assert (invitation["state"], confirmation["state"]) == ("queued", "refused")
    assert house.state(record_id) == "invited"
    assert [row["ended_at"] for row in house.rows("access_tokens")] == [None]


def test_an_account_mail_does_not_count_as_a_channel_that_was_tried(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    post(house, record_id, CONFIRM_ACCOUNT)
    provider = ScriptedProvider()
    provider.outcome = Refused("no")
    house.lane(provider, PlainChannel(SMS)).run()
    assert [(row["channel"], row["purpose"], row["state"]) for row in house.rows("outbox")] == [
        ("sms", "invitation", "refused"),
        ("email", CONFIRM_ACCOUNT, "queued"),
        ("email", "invitation", "queued"),
    ]


def test_a_repeat_of_an_unknown_one_goes_to_the_same_typed_address_whatever_the_record_says(house: House) -> None:
    [record_id] = house.arrive([person()])
    post(house, record_id, CONFIRM_ACCOUNT)
    provider = ScriptedProvider(Settlement.DEDUPLICATES)
    provider.script = [RuntimeError()]
    lane = house.lane(provider, composition.build()[EMAIL])
    lane.run()
    assert entry(house)["state"] == "unknown"
    house.change(record_id, home=(ContactPoint("email", "other@example.org"),))
    house.later(timedelta(minutes=10))
    lane.run()
    assert entry(house)["state"] == "accepted"
    assert provider.sent[0] == provider.sent[1]


def test_the_halves_of_a_pair_go_by_two_channels_and_neither_has_the_other(house: House) -> None:
    [record_id] = house.arrive([person()])
    halves(house, record_id)
    texts, mails = ScriptedProvider(), ScriptedProvider()
    channels = composition.build()
    house.lane(texts, channels[SMS]).run()
    house.lane(mails, channels[EMAIL]).run()
    assert (texts.sent[0].to, mails.sent[0].to) == ("+447700900123", "ada@example.org")
    assert b"#c=" not in texts.sent[0].body + mails.sent[0].body
    assert {row["state"] for row in house.rows("outbox")} == {"accepted"}


def test_when_one_half_reaches_nobody_the_pair_ends_and_the_other_half_stays(house: House) -> None:
    [record_id] = house.arrive([person()])
    halves(house, record_id)
    provider = ScriptedProvider()
    provider.outcome = Refused("no")
    channels = composition.build()
    house.lane(provider, channels[SMS]).run()
    assert house.rows("access_tokens")[0]["wrapped_key"] is None
    assert mail(house)[1] == Counter(pair_ended=1)


def test_what_a_newer_doorstep_queued_rests(house: House) -> None:
    [record_id] = house.arrive([person()])
    post(house, record_id, "from_the_future")
    assert mail(house)[1] == Counter(purpose_not_known=1)
    assert (entry(house)["state"], entry(house)["code"]) == ("queued", "purpose_not_known")


def test_every_purpose_has_its_templates() -> None:
    shipped = shipped_templates()
    for purpose in PURPOSES:
        assert {f"en/{purpose}/email.txt", f"en/{purpose}/email.html", f"en/{purpose}/email.subject.txt"} <= set(
            shipped
        )


def test_a_payload_of_the_first_release_is_a_pair_still(house: House) -> None:
    [record_id] = house.arrive([person()])
    house.issue.run()
    row = entry(house)
    with house.database.begin() as connection:
        opened = house.records.load(connection, [record_id])[record_id]
        old = opened.key.seal(b"2345678923BCDFGHJKLM", PAYLOAD, int(str(row["id"])))
        connection.execute(update(outbox).values(sealed_payload=old))
    channel = PlainChannel(SMS)
    house.lane(ScriptedProvider(), channel).run()
    assert (channel.texts[0].code, channel.texts[0].token) == ("2345678923", "BCDFGHJKLM")


def test_content_reads_back_and_shows_nothing() -> None:
    assert decode(encode(CONFIRM)) == CONFIRM
    assert "example.net" not in repr(CONFIRM)

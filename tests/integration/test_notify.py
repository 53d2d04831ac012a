"""GOV.UK Notify, against a server that speaks its API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from daemon.fake_providers.script import Act, Part, Script
from daemon.settings.providers import Gateway
from invites.channels.channel import Accepted, NotSent, Outcome, Refused, Request, Unknown
from invites.channels.gateway_rules import read_rule
from invites.channels.http_exchange import Reply
from invites.channels.notify_answers import outcome_of, receipt_of
from invites.receipt import Receipt, ReceiptState
from tests.support.fake_street import FakeStreet

HANGS = 2.0
NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)


def sms(reference: str = "ref-1") -> Request:
    return Request("sms", reference, "+447700900123", "Hello £".encode())


def script(*acts: Act) -> Script:
    return Script(notify=Part(steps=list(acts)))


def test_a_text_message_an_email_and_a_letter_are_taken_with_their_words() -> None:
    mail = b"Subject: =?utf-8?q?Your_record_=C2=A3?=\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n"
    with FakeStreet() as street:
        notify = street.notify()
        assert isinstance(notify.send(sms()), Accepted)
        assert isinstance(notify.send(Request("email", "ref-2", "ada@example.org", mail)), Accepted)
        assert isinstance(notify.send(Request("letter", "ref-3", "Ada\n1 Long Lane", b"%PDF-1.7")), Accepted)
        told = [(entry.channel, entry.reference, entry.to, entry.message.strip()) for entry in street.ledger.entries]
    assert told == [
        ("sms", "ref-1", "+447700900123", "Hello £"),
        ("email", "ref-2", "ada@example.org", "Hello"),
        ("letter", "ref-3", "", ""),
    ]


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (Act("answer", status=400, text="ValidationError: phone_number Not enough digits"),
         Refused("notify_400_validation_error")),
        (Act("answer", status=400, text="ValidationError: template_id is not a valid UUID"),
         NotSent("notify_400_validation_error")),
        (Act("answer", status=400, text="BadRequestError: trial mode"), NotSent("notify_400_bad_request_error")),
        (Act("answer", status=403, text="AuthError: no"), NotSent("notify_403_auth_error")),
        (Act("answer", status=429, text="RateLimitError: 3000"),
         NotSent("notify_429_rate_limit_error", timedelta(seconds=60))),
        (Act("answer", status=500), Unknown("notify_500_exception")),
        (Act("answer", status=503, body="<html>"), Unknown("notify_503")),
        (Act("answer", status=201, body="<html>"), Unknown("notify_answer_unreadable")),
        (Act("answer", status=302, body="{}"), Unknown("notify_302")),
        (Act("drop"), Unknown("notify_connection_lost_after_request")),
        (Act("drop", record=True), Unknown("notify_connection_lost_after_request")),
    ],
    ids=str,
)  # fmt: skip
def test_an_answer_means_what_its_status_and_type_say(act: Act, outcome: Outcome) -> None:
    with FakeStreet(script(act)) as street:
        notify = street.notify()
        assert notify.send(sms()) == outcome
        assert isinstance(notify.send(sms("ref-2")), Accepted)


@pytest.mark.parametrize("record", [False, True])
def test_silence_is_unknown_and_a_search_finds_out(*, record: bool) -> None:
    with FakeStreet(script(Act("hang", record=record))) as street:
        notify = street.notify(timeout=HANGS)
        assert notify.send(sms()) == Unknown("notify_timeout_after_request")
        notify = street.notify()
        if record:
            assert isinstance(notify.search("ref-1"), Accepted)
        else:
            assert notify.search("ref-1") == NotSent("notify_not_found")


def test_the_daily_limit_waits_for_the_day_to_end() -> None:
    body = {"errors": [{"error": "TooManyRequestsError", "message": "Exceeded send limits"}]}
    assert outcome_of(429, body, NOW) == NotSent("notify_429_too_many_requests_error", timedelta(hours=9, minutes=1))
    assert outcome_of(429, None, NOW, 7) == NotSent("notify_429", timedelta(seconds=7))


def test_a_server_that_is_not_there_is_not_sent_and_a_search_of_it_unknown() -> None:
    with FakeStreet() as street:
        notify = street.notify()
        street.stop()
        assert notify.send(sms()) == NotSent("notify_cannot_connect")
        assert notify.search("ref-1") == Unknown("notify_cannot_connect")
        street.start()
        assert isinstance(notify.send(sms()), Accepted)


def test_a_token_of_another_key_or_time_is_no_patients_fault() -> None:
    with FakeStreet() as street:
        other = "x-11111111-1111-4111-8111-111111111111-33333333-3333-4333-8333-333333333333"
        assert street.notify(key=other).send(sms()) == NotSent("notify_403_auth_error")
        assert street.notify(clock=lambda: 0.0).send(sms()) == NotSent("notify_403_auth_error")
        assert street.references == []


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        ("sending", "sms", (ReceiptState.SENT, False)),
        ("delivered", "email", (ReceiptState.DELIVERED, False)),
        ("temporary-failure", "sms", (ReceiptState.FAILED, False)),
        ("technical-failure", "sms", (ReceiptState.FAILED, False)),
        ("permanent-failure", "sms", (ReceiptState.FAILED, True)),
        ("permanent-failure", "letter", (ReceiptState.FAILED, False)),
        ("received", "letter", (ReceiptState.SENT, False)),
        ("created", "sms", None),
        ("something-new", "sms", None),
    ],
)
def test_a_status_is_a_receipt(status: str, kind: str, expected: tuple[ReceiptState, bool] | None) -> None:
    said = {"id": "theirs", "reference": "ref-1", "status": status, "notification_type": kind}
    receipt = receipt_of({**said, "completed_at": "2026-03-04T14:59:00.000000Z"}, NOW)
    if expected is None:
        assert receipt is None
        return
    at = datetime(2026, 3, 4, 14, 59, tzinfo=UTC)
    state, permanent = expected
    assert receipt == Receipt("notify", state, at, "ref-1", "theirs", permanent=permanent, code=status)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "soon", 3])
def test_a_time_that_cannot_be_is_that_at_which_we_heard(at: object) -> None:
    receipt = receipt_of({"reference": "ref-1", "status": "delivered", "completed_at": at}, NOW)
    assert receipt is not None
    assert receipt.at == NOW


@pytest.mark.parametrize("said", [None, [], "x", {"status": 3}, {"status": []}, {"status": "delivered"}])
def test_what_cannot_be_read_is_no_receipt(said: object) -> None:
    assert receipt_of(said, NOW) is None


@pytest.mark.parametrize("status", [302, 303])
def test_a_redirect_may_follow_upon_a_message_that_was_taken(status: int) -> None:
    assert outcome_of(status, None, datetime.now(UTC)) == Unknown(f"notify_{status}")
    taken = [rule for text in Gateway().not_sent if (rule := read_rule(text)).fits(Reply(status, {}, b""))]
    assert taken == []

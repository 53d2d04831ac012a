"""An SMS supplier's HTTP interface as a hospital describes it, against a real server."""

from __future__ import annotations

import json
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.fake_providers.script import Act, Part, Script
from invites.channels.channel import Accepted, NotSent, Outcome, Refused, Request, Settlement, Unknown
from invites.channels.gateway_rules import (
    extract,
    filled_body,
    filled_header,
    filled_url,
    judge,
    read_rule,
    unknown_placeholders,
)
from invites.channels.http_exchange import Reply
from tests.support.fake_street import FakeStreet

HANGS = 2.0


def sms(reference: str = "ref-1") -> Request:
    return Request("sms", reference, "+447700900123", 'Hello "£"\n'.encode())


def script(*acts: Act) -> Script:
    return Script(gateway=Part(steps=list(acts)))


def test_the_message_arrives_as_it_is() -> None:
    with FakeStreet() as street:
        assert street.gateway().send(sms()) == Accepted("gateway-00000001")
        [entry] = street.ledger.entries
        assert (entry.reference, entry.to, entry.message) == ("ref-1", "+447700900123", 'Hello "£"\n')


@pytest.mark.parametrize(
    ("act", "outcome"),
    [
        (Act("answer", status=200, body='{"status": "0"}'), Accepted("ref-1")),
        (Act("answer", status=200, body='{"status": "3"}'), Refused("gateway_200")),
        (Act("answer", status=200, body='{"status": "8"}'), Unknown("gateway_200")),
        (Act("answer", status=200, body="OK"), Unknown("gateway_200")),
        (Act("answer", status=401), NotSent("gateway_401")),
        (Act("answer", status=307), NotSent("gateway_307")),
        (Act("answer", status=500), Unknown("gateway_500")),
        (Act("drop"), Unknown("gateway_connection_lost_after_request")),
        (Act("drop", record=True), Unknown("gateway_connection_lost_after_request")),
    ],
    ids=str,
)
def test_answers_mean_what_the_rules_say_and_the_rest_is_unknown(act: Act, outcome: Outcome) -> None:
    with FakeStreet(script(act)) as street:
        gateway = street.gateway(refused=(read_rule("200 status=3|4"),))
        assert gateway.send(sms()) == outcome
        assert isinstance(gateway.send(sms("ref-2")), Accepted)


@pytest.mark.parametrize("record", [False, True])
def test_silence_is_unknown_and_settled_by_what_the_supplier_can_do(*, record: bool) -> None:
    with FakeStreet(script(Act("hang", record=record))) as street:
        gateway = street.gateway(timeout=HANGS)
        assert gateway.send(sms()) == Unknown("gateway_timeout_after_request")
        assert gateway.settlement is Settlement.NEITHER
        assert gateway.search("ref-1") == Unknown("gateway_cannot_tell")
        found = street.gateway(searchable=True).search("ref-1")
        assert isinstance(found, Accepted) if record else found == NotSent("gateway_not_found")


def test_a_repeat_with_the_same_key_is_recognised() -> None:
    with FakeStreet(script(Act("drop", record=True))) as street:
        gateway = street.gateway(idempotency_header="Idempotency-Key", deduplicates=True)
        assert isinstance(gateway.send(sms()), Unknown)
        assert gateway.send(sms()) == Accepted("gateway-00000001")
        assert street.references == ["ref-1"]


def test_every_value_stays_a_value_whatever_it_holds() -> None:
    values = {"to": "+44", "text": '"},{"a":"b&c=d<e>\r\n', "reference": "ref-1", "secret": "s&=", "to_digits": "44"}
    body = filled_body('{"a": ["{text}", 1], "b": "{to}-{secret}"}', "json", values)
    assert json.loads(body) == {"a": [values["text"], 1], "b": "+44-s&="}
    form = parse_qs(filled_body("x={text}&to={to}", "form", values).decode())
    assert form == {"x": [values["text"]], "to": ["+44"]}
    assert filled_body("<t>{text}</t>", "xml", values) == b'<t>"},{"a":"b&amp;c=d&lt;e&gt;\r\n</t>'
    assert filled_url("https://h/?t={text}&s={secret}", values).count("&") == 1
    assert "\n" not in filled_header("{text}", values)
    assert filled_body("{text}{unknown}", "text", {"text": "{secret}", "secret": "s"}) == b"{secret}{unknown}"
    assert unknown_placeholders("{to} {name} {text}") == ["name"]


@given(st.text(), st.text())
def test_json_and_forms_give_back_what_was_put_in(text: str, secret: str) -> None:
    values = {"text": text, "secret": secret, "to": "+44", "to_digits": "44", "reference": "r"}
    text = text.encode("utf-8", "replace").decode()
    secret = secret.encode("utf-8", "replace").decode()
    values |= {"text": text, "secret": secret}
    assert json.loads(filled_body('["{text}", "{secret}"]', "json", values)) == [text, secret]
    assert parse_qs(filled_body("a={text}&b=x{secret}", "form", values).decode(), keep_blank_values=True) == {
        "a": [text],
        "b": ["x" + secret],
    }


def reply(status: int, body: object = b"") -> Reply:
    return Reply(status, {"x-id": "7"}, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(200, {"messages": [{"status": 0}]}), "accepted"),
        (reply(200, {"messages": [{"status": 3}]}), "refused"),
        (reply(200, {"messages": []}), None),
        (reply(201), "accepted"),
        (reply(418), "not_sent"),
        (reply(404), "refused"),
        (reply(500, b"ERR 12: busy"), "not_sent"),
        (reply(500), None),
    ],
)
def test_the_more_exact_rule_wins_and_what_none_knows_is_unknown(answer: Reply, kind: str | None) -> None:
    rules = {
        "refused": ["200 messages.0.status=3|4", "404"],
        "not_sent": ["4xx", "5xx body~^ERR 1[0-9]"],
        "accepted": ["200 messages.0.status=0", "201"],
    }
    assert judge(answer, {name: [read_rule(text) for text in texts] for name, texts in rules.items()}) == kind


@pytest.mark.parametrize("text", ["", "yes", "600", "20x", "200 ", "200 status", "200 body~(", "200=0"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    if text == "200 ":
        assert read_rule(text) == read_rule("200")
        return
    with pytest.raises(ValueError, match=r"rule|expression"):
        read_rule(text)


def test_an_answer_nested_without_end_is_no_document() -> None:
    assert reply(200, b"[" * 100_000).json is None


def test_the_suppliers_name_is_found_where_it_stands() -> None:
    assert extract(reply(200, {"messages": [{"id": 12}]}), "messages.0.id") == "12"
    assert extract(reply(200, b"OK: a-1"), r"body~OK: (\S+)") == "a-1"
    assert extract(reply(200), "header:X-Id") == "7"
    assert extract(reply(200), "messages.0.id") == extract(reply(200), "") == ""

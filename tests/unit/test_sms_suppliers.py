"""The examples of suppliers' interfaces in config/sms load, are complete, and mean what the suppliers mean."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from daemon.provider_options import gateway
from daemon.reference_files import reference_file
from daemon.settings import Settings, load
from invites.channels.channel import Accepted, NotSent, Outcome, Refused, Unknown
from invites.channels.http_exchange import Reply

FOLDER = reference_file("sms/twilio.toml").parent
NAMES = ("TWILIO_AUTH_TOKEN", "VONAGE_API_SECRET", "INFOBIP_API_KEY", "SMS_CALLBACK_TOKEN")
SECRETS = dict.fromkeys(NAMES, "a secret of some length")


def example(name: str) -> Settings:
    return load(FOLDER / f"{name}.toml", SECRETS, serving=True)


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_each_is_complete(file: Path) -> None:
    http = example(file.stem).delivery.sms.http
    assert http.model_fields_set >= {"url", "body", "accepted", "refused", "reference_at", "receipts"}
    assert not http.receipts.secret.missing


def reply(status: int, body: object) -> Reply:
    return Reply(status, {}, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("name", "answer", "outcome"),
    [
        ("twilio", reply(201, {"sid": "SM1", "status": "queued"}), Accepted("SM1")),
        ("twilio", reply(400, {"code": 21211}), Refused("gateway_400")),
        ("twilio", reply(400, {"code": 21408}), NotSent("gateway_400")),
        ("twilio", reply(401, {"code": 20003}), NotSent("gateway_401")),
        ("twilio", reply(500, {}), Unknown("gateway_500")),
        ("vonage", reply(200, {"messages": [{"status": "0", "message-id": "V1"}]}), Accepted("V1")),
        ("vonage", reply(200, {"messages": [{"status": "1"}]}), NotSent("gateway_200")),
        ("vonage", reply(200, {"messages": [{"status": "7"}]}), Refused("gateway_200")),
        ("vonage", reply(200, {"messages": [{"status": "5"}]}), Unknown("gateway_200")),
        ("infobip", reply(200, {"messages": [{"messageId": "r", "status": {"groupName": "PENDING"}}]}), Accepted("r")),
        ("infobip", reply(200, {"messages": [{"status": {"groupName": "REJECTED"}}]}), Refused("gateway_200")),
        ("infobip", reply(200, {"messages": [{"status": {"groupName": "NEW"}}]}), Unknown("gateway_200")),
    ],
)
def test_answers_mean_what_the_supplier_means(name: str, answer: Reply, outcome: Outcome) -> None:
    assert gateway(example(name).delivery.sms.http)._judged(answer, "ref-1") == outcome

"""The log line of a message: labels that were believed, and nothing of a header that is out of shape."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from daemon import logs
from daemon.listener_telemetry import ListenerTelemetry
from daemon.metrics import Metrics
from hl7_listener.arrival import Settled
from hl7_listener.framing import Frame
from hl7_listener.interpreter import Interpreter
from hl7_listener.options import ListenerOptions
from patient_records.reconcile import Outcome
from tests.support.hospital import Nobody, Silent

LISTENER = ListenerOptions("pas", "", 0, "RX1", ZoneInfo("Europe/London"))
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "logged"),
    [
        (b"20260601||ADT^A28|ID7|P|2.5", {"control_id": "ID7", "trigger": "A28"}),
        (b"ADT^A28|ARCHER^UNA|ARCHER|P|2.5", {}),
        (b"20260601||ARCHER^UNA|ARCHER|P|2.5", {}),
    ],
)
def test_a_header_out_of_shape_is_not_logged(
    header: bytes, logged: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a field is missing or a segment end was lost, what stands at MSH-9 and MSH-10 may be somebody's name."""
    told: list[dict[str, Any]] = []
    monkeypatch.setattr(logs, "tell", lambda _event, _level, keys: told.append(keys))
    raw = b"MSH|^~\\&|PAS|RX1|DS|RX1|" + header + b"\rPID|1||1^^^RX1^MR\r"
    arrival = Interpreter(LISTENER, Silent()).arrival(Frame(raw, 0), NOW, Nobody())
    ListenerTelemetry(Metrics()).committed([Settled(arrival, 1, Outcome.REJECTED, "", "AE", b"")], 0.0)
    [keys] = told
    assert {name: keys[name] for name in ("control_id", "trigger") if keys[name]} == logged

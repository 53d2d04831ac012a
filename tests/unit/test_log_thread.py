"""Log lines by their own thread: all of them, in order, and none of them worth waiting for."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from daemon import logs
from daemon.log_thread import MOST_BYTES, MOST_LINES, LogThread
from tests.support.patience import SAFETY


def dropped(count: int) -> dict[str, Any]:
    """Say how many were dropped."""
    return {"event": "dropped", "count": count}


def as_json(event: dict[str, Any], _at: float) -> str:
    """Render what is plain."""
    return json.dumps({key: value if isinstance(value, str | int | float) else "?" for key, value in event.items()})


@pytest.fixture
def pipe() -> Iterator[tuple[int, io.TextIOWrapper]]:
    """Give a pipe: the end to read from, and a stream into it."""
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    yield reading, stream
    os.close(reading)


def test_every_line_in_its_order() -> None:
    stream = io.StringIO()
    thread = LogThread(stream, as_json, dropped)
    for number in range(1000):
        thread.put({"event": "message", "count": number})
    assert thread.flush(SAFETY)
    assert [json.loads(line)["count"] for line in stream.getvalue().splitlines()] == list(range(1000))


def test_values_are_those_of_the_call() -> None:
    stream = io.StringIO()
    thread = LogThread(stream, as_json, dropped)
    event = {"event": "message", "count": 1, "peer": ["Canary"], "sender": "Canary" * 1000}
    thread.put(event)
    event["count"] = 2
    assert thread.flush(SAFETY)
    assert json.loads(stream.getvalue()) == {"event": "message", "count": 1, "peer": "?", "sender": "?"}


@pytest.mark.parametrize("text", ["", "x" * 4000], ids=["too many lines", "too many bytes"])
def test_a_pipe_that_nobody_reads_stops_nobody_and_the_loss_is_told(
    pipe: tuple[int, io.TextIOWrapper], text: str
) -> None:
    reading, stream = pipe
    thread = LogThread(stream, as_json, dropped)
    told = 3 * MOST_LINES
    for number in range(told):
        thread.put({"event": "message", "count": number, "reason": text})
    assert not thread.flush(0.0)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.extend(iter(lambda: os.read(reading, 1 << 16), b"")))
    reader.start()
    assert thread.flush(SAFETY)
    stream.close()
    reader.join()
    events = [json.loads(line) for line in b"".join(found).splitlines()]
    written = [event for event in events if event["event"] == "message"]
    lost = sum(event["count"] for event in events if event["event"] == "dropped")
    assert lost > 0
    assert len(written) + lost == told
    assert sum(len(event["reason"]) for event in written) <= 3 * MOST_BYTES


def test_a_line_that_cannot_be_made_is_silent() -> None:
    def render(event: dict[str, Any], at: float) -> str:
        return as_json(event, at) if event["count"] else str(1 // 0)

    stream = io.StringIO()
    thread = LogThread(stream, render, dropped)
    thread.put({"count": 0})
    thread.put({"count": 1})
    assert thread.flush(SAFETY)
    assert json.loads(stream.getvalue()) == {"count": 1}


def test_the_short_way_has_the_same_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    lines = logs._Lines(stream, lambda event, at: logs._as_json(None, "", logs._allow(event, at)))
    monkeypatch.setattr(logs, "_doors", [(logging.INFO, lines.put)])
    logs.tell("message", logging.DEBUG, {})
    logs.tell(
        "message", logging.WARNING, {"listener": "pas", "name": "Canary", "control_id": "Canary^Yellow", "next": "x"}
    )
    line = json.loads(stream.getvalue())
    assert line.pop("timestamp")
    assert line == {"level": "warning", "event": "message", "listener": "pas", "withheld": 3}

"""Whether the writer counts as stuck: not while it gets on with one large transaction, however long that takes.

No test waits: the writer's clock is moved forward in the middle of its steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from hl7_listener import ingest
from hl7_listener.ingest import STUCK
from hl7_listener.person_acts import PersonActs
from tests.support.feed import a28
from tests.support.listening import Listening
from tests.support.mllp import msa


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the writer's clock forward, so that something took long without anybody waiting."""
    passed, monotonic = [0.0], time.monotonic

    def pass_by(seconds: float) -> None:
        passed[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: monotonic() + passed[0], sleep=time.sleep, perf_counter=time.perf_counter)
    monkeypatch.setattr(ingest, "time", clock)
    return pass_by


def slow_in(
    method: str, listening: Listening, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch, seconds: float
) -> list[bool]:
    """Let every call take so long; gives, as they are made, whether the writer counted as working at its end."""
    real, seen = getattr(PersonActs, method), list[bool]()

    def slow(*given: Any, **named: Any) -> Any:
        done = real(*given, **named)
        later(seconds)
        seen.append(listening.ingest.working())
        return done

    monkeypatch.setattr(PersonActs, method, slow)
    return seen


BHS = b"BHS|^~\\&|PAS|RX1\r"
HEAD = b"MSH|^~\\&|PAS|RX1|doorstep|RX1|20260305101500||ADT^A40^ADT_A39|M%d|P|2.5.1\rEVN|A40|20260305101500\r"
GROUP = b"PID|1||%d^^^RX1^MR||Testperson^Tess||19801210|F\rMRG|%d^^^RX1^MR\r"


def test_a_writer_that_gets_on_with_a_large_batch_is_not_stuck(
    sqlite_url: str, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten messages of 40 seconds each, in one transaction."""
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        seen = slow_in("apply", listening, later, monkeypatch, STUCK * 2 / 3)
        wire.send(BHS + b"".join(a28(n) for n in range(10)) + b"BTS|10\r")
        assert [msa(wire.receive())[0] for _ in range(10)] == ["AA"] * 10
        assert seen == [True] * 10


def test_nor_is_one_that_gets_on_with_a_large_message(
    sqlite_url: str, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten merges of 40 seconds each, in one message."""
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        seen = slow_in("_group", listening, later, monkeypatch, STUCK * 2 / 3)
        wire.send(HEAD % 1 + b"".join(GROUP % (n, n + 1000) for n in range(10)))
        assert msa(wire.receive())[0] == "AA"
        assert seen == [True] * 10


def test_one_step_that_never_ends_is_stuck_all_the_same(
    sqlite_url: str, later: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    with Listening(sqlite_url) as listening, listening.wire() as wire:
        seen = slow_in("_group", listening, later, monkeypatch, STUCK + 1)
        wire.send(BHS + b"".join(HEAD % n + GROUP % (n, n + 1000) for n in (1, 2)) + b"BTS|2\r")
        assert [msa(wire.receive())[0] for _ in range(2)] == ["AA", "AA"]
        assert seen == [False, False]
        assert listening.ingest.working()

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner

from benchmarks import feed, receivers
from benchmarks.__main__ import BENCHMARKS, main, run
from benchmarks.load_generator import Order, Sending, send
from benchmarks.receivers import Open, Receiver, fresh, measure
from benchmarks.report import Latencies, latencies, middle, ratio
from benchmarks.scale import TINY
from benchmarks.workbench import DATABASES, SQLITE, Workbench
from hl7_listener.adt import interpret
from hl7_listener.message import read
from hl7_listener.options import ListenerOptions
from hl7_listener.sender_profile import SenderProfile
from invites.recipient import usable_channels
from patient_records.model import Demographics
from patient_records.update import PatientUpdate, Silence
from tests.support.mllp import ScriptedReceiver, answer, drop

SIZED = {"rate", "p50", "seconds", "doorstep"}
ON_BOTH = {"durable_ingest", "find_eligible"}
LISTENER = ListenerOptions("pas", "127.0.0.1", 0, "RX1", ZoneInfo("Europe/London"))


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_benchmark_runs_and_gives_numbers(name: str, tmp_path: Path) -> None:
    file = tmp_path / "numbers.json"
    [table] = run((name,), TINY, DATABASES if name in ON_BOTH else (SQLITE,), tmp_path, file)
    assert table.name == name
    assert table.rows
    for row in table.rows:
        assert set(row) <= {column.key for column in table.columns}
        assert any(isinstance(row.get(key), float) for key in SIZED)  # not how large: a busy machine gives 0
    written = json.loads(file.read_text())
    assert written["tables"][0]["rows"] == table.rows
    assert str(tmp_path) not in file.read_text()
    assert list(tmp_path.iterdir()) == [file]


def test_an_unknown_benchmark_is_refused_with_the_names_that_there_are() -> None:
    result = CliRunner().invoke(main, ["durable_injest"])
    assert result.exit_code == 2
    assert "durable_ingest" in result.output


@pytest.mark.parametrize(
    ("reach", "channels"),
    [
        (feed.SMS, ("sms", "letter")),
        (feed.EMAIL, ("email", "letter")),
        (feed.LETTER, ("letter",)),
        (feed.ALL, ("sms", "email", "letter")),
    ],
)
def test_everybody_in_the_feed_can_be_reached_as_asked(reach: str, channels: tuple[str, ...]) -> None:
    for serial in range(1000):
        update = _update(feed.a28(serial, reach))
        assert not isinstance(update.names, Silence)
        assert not isinstance(update.addresses, Silence)
        assert not isinstance(update.home, Silence)
        person = Demographics(names=update.names, addresses=update.addresses, home=update.home)
        assert usable_channels(person, ("sms", "email", "letter")) == channels, serial


def test_everybody_in_the_feed_is_somebody_else() -> None:
    serials = [*range(2000), *range(999_000, 1_001_000)]
    updates = [_update(feed.a28(serial)) for serial in serials]
    identifiers = [identifier for update in updates for identifier in update.identifiers]
    assert len(identifiers) == len(set(identifiers)) == 2 * len(serials)
    sizes = [len(feed.a28(serial)) for serial in serials]
    assert min(sizes) >= 850
    assert max(sizes) <= 950


def test_the_generator_counts_refusals_and_lost_answers_apart() -> None:
    sending = _sent([answer("AA"), answer("AE"), answer("AR"), answer("CA"), drop], pool=9)
    assert (sending.acknowledged, sending.refused, sending.lost) == (2, 2, 1)


def test_the_generator_sends_each_message_once_and_one_at_a_time() -> None:
    receiver = ScriptedReceiver()
    sending = _sent(receiver=receiver, pool=40, connections=4)
    assert sending.acknowledged == 40
    assert len(receiver.by_connection) == 4
    assert len(set(receiver.received)) == 40


def test_what_is_acknowledged_and_not_stored_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receivers, "journalled", lambda _daemon: 0)
    with Workbench(TINY, (SQLITE,), tmp_path) as bench, pytest.raises(RuntimeError, match="0 are stored"):
        measure(bench, fresh(bench, SQLITE), 1)


def test_no_two_measurements_send_the_same_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[Order] = []

    def note(order: Order) -> Sending:
        orders.append(order)
        return Sending(1.0, 0.0, 0.0, 0.0, 1, 0, 0, 0.0)

    @contextmanager
    def nobody() -> Iterator[Open]:
        yield Open(1, 1)

    monkeypatch.setattr(receivers, "generate", note)
    with Workbench(TINY, (SQLITE,), tmp_path) as bench:
        for _ in range(3):
            measure(bench, Receiver("somebody", "nothing", nobody, keeps=True), 1)
    people = [serial for order in orders for serial in range(order.first, order.first + order.pool)]
    assert len(people) == len(set(people)) == 3 * TINY.pool
    assert not any(order.repeat for order in orders)


def test_times_are_summed_up_by_nearest_rank() -> None:
    assert latencies([float(number) for number in range(100, 0, -1)]) == Latencies(50.0, 99.0, 100.0)
    assert latencies([3.0]) == Latencies(3.0, 3.0, 3.0)
    assert latencies([]) == Latencies(0.0, 0.0, 0.0)
    assert middle([None, 3.0, 1.0, 2.0]) == 2.0
    assert middle([None]) is None
    assert (ratio(6.0, 3.0), ratio(6.0, 0.0), ratio(None, 3.0)) == (2.0, None, None)


def _update(raw: bytes) -> PatientUpdate:
    update = interpret(read(raw), LISTENER, SenderProfile(), datetime(2026, 3, 1, tzinfo=UTC))
    assert isinstance(update, PatientUpdate)
    assert update.findings == ()
    return update


def _sent(
    script: list[Callable[[bytes], bytes | None]] | None = None,
    *,
    receiver: ScriptedReceiver | None = None,
    pool: int,
    connections: int = 1,
) -> Sending:
    """Send a pool to a scripted receiver, to its end: the window is longer than any test runs."""
    listening = receiver or ScriptedReceiver(script or [])

    async def go() -> Sending:
        async with listening.listening():
            return await send(Order(listening.port, connections, warm_up=0.0, seconds=600.0, pool=pool))

    return asyncio.run(go())

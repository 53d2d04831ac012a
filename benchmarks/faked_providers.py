"""From the outbox to providers that deliver to nobody, over real sockets; and whether a slow one slows the others.

The providers (``doorstep fake-providers``) run in a process of their own and share the machine: part of what is
measured is their work. The ledger is counted: what was accepted by the provider is what was to be sent, once.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from benchmarks import feed
from benchmarks.own_process import in_own_process
from benchmarks.report import Column, Row, Table
from benchmarks.seeding import house_of, seed
from benchmarks.workbench import CALM, Workbench
from daemon.fake_providers.notify_api import FAKE_KEY
from daemon.fake_providers.street import StreetPorts
from tests.support.daemon_process import merged

SLOW: Final = 2.0
"""Seconds that the slow provider takes for each answer."""

_SLOW_QUEUE: Final = 200
"""Messages that wait for the slow one: more than it can send while it is looked at."""

_COLUMNS: Final = (
    Column("database", "database"),
    Column("provider", "provider"),
    Column("beside", "beside"),
    Column("count", "messages", ","),
    Column("seconds", "seconds", ",.1f"),
    Column("rate", "messages/s", ",.0f"),
    Column("cpu", "CPU us/message", ",.0f"),
)


class Sent(Struct, frozen=True):
    """One lane's run."""

    count: int
    seconds: float
    cpu: float


class Case(Struct, frozen=True):
    """A provider for one channel, and whether a slow one for text messages is at work beside it."""

    provider: str
    channel: str
    reach: str
    slow: bool = False


CASES: Final = (
    Case("http", "sms", feed.SMS),
    Case("notify", "sms", feed.SMS),
    Case("smtp", "email", feed.EMAIL),
    Case("smtp", "email", feed.EMAIL, slow=True),
)


def run(bench: Workbench) -> Table:
    """Send each case's messages on each database."""
    rows = [_row(bench, database, case) for database in bench.databases for case in CASES]
    notes = (
        "Four calls of a provider at a time; daemon and fake providers share the machine's cores.",
        f"Beside: a provider of text messages that takes {SLOW:.0f} s for each answer, with {_SLOW_QUEUE} waiting.",
    )
    return Table("faked_providers", "Sending through providers that deliver to nobody", _COLUMNS, rows, notes)


def _row(bench: Workbench, database: str, case: Case) -> Row:
    count = bench.scale.sms
    with _fakes(bench.folder) as (ports, ledger):
        daemon = bench.daemon(database, merged(CALM, _changes(ports, case)))
        try:
            people = {case.reach: count, **({feed.SMS: _SLOW_QUEUE} if case.slow else {})}
            bench.say(f"faked_providers: seeding {sum(people.values()):,} people on {database}")
            seed(daemon.config, bench.serials(sum(people.values())), people)
            in_own_process(_issue, daemon.config)
            bench.say(f"faked_providers: sending through {case.provider} on {database}")
            done = in_own_process(_send, daemon.config, case)
        finally:
            bench.discard(daemon)
        taken = [line for line in ledger.read_text().splitlines() if json.loads(line)["channel"] == case.channel]
    if not done.count == len(taken) == count:
        raise RuntimeError(f"{count:,} were to be sent: {done.count:,} were accepted, {len(taken):,} are in the ledger")
    return {
        "database": database,
        "provider": case.provider,
        "beside": "a slow one" if case.slow else "",
        "count": count,
        "seconds": done.seconds,
        "rate": count / done.seconds,
        "cpu": 1e6 * done.cpu / count,
    }


@contextlib.contextmanager
def _fakes(folder: Path) -> Iterator[tuple[StreetPorts, Path]]:
    """Run the fake providers: the gateway is the slow one, but only for what is not measured there."""
    ledger = folder / "ledger.jsonl"
    ledger.unlink(missing_ok=True)
    command = [sys.executable, "-m", "daemon", "fake-providers", "--ledger", str(ledger)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield StreetPorts(**json.loads(process.stdout.readline())), ledger
        finally:
            process.terminate()


def _changes(ports: StreetPorts, case: Case) -> Mapping[str, Any]:
    url = f"http://127.0.0.1:{ports.http}"
    smtp = {"host": "127.0.0.1", "port": ports.smtp, "tls": "none", "sender": "Hospital <noreply@hospital.example>"}
    slow = ', "wait": "2"' if case.slow else ""
    return {
        "delivery": {
            "notify": {"key": FAKE_KEY, "url": url, "sms_template": "template"},
            "sms": {
                "provider": "http" if case.slow or case.channel != "sms" else case.provider,
                "http": {
                    "url": f"{url}/sms",
                    "body": '{"to": "{to}", "text": "{text}", "reference": "{reference}"' + slow + "}",
                },
            },
            "email": {"provider": "smtp", "smtp": smtp},
        }
    }


def _issue(config: Path) -> None:
    house = house_of(config)
    try:
        house.invites.issue.run()
    finally:
        house.close()


def _send(config: Path, case: Case) -> Sent:
    house = house_of(config)
    stop = threading.Event()
    try:
        if case.slow:
            threading.Thread(target=house.invites.lanes["sms"].run, args=(stop.is_set,), daemon=True).start()
        cpu, began = time.process_time(), time.perf_counter()
        report = house.invites.lanes[case.channel].run()
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        stop.set()
    finally:
        house.close()
    return Sent(report.outcomes["accepted"], seconds, cpu)

"""``doorstep demo``: the whole way, real, with nothing configured.

A temporary folder gets a configuration; the real daemon is started on it as a process of its own; an invented feed goes
through its MLLP port; its scheduler invites, its dispatcher delivers to the spool. What is shown afterwards is read
from the daemon's own database and folders, and held against what the feed must come to: a step that fell short is said
and ends in status 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from email import message_from_bytes
from email.policy import default as email_policy
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from sqlalchemy import func, select

from daemon.bootstrap import House, build
from daemon.demo_api import caller
from daemon.demo_feed import DemoMessage, Kind, expected, feed
from daemon.demo_patient import travel
from daemon.settings import load
from daemon.supervisor import Ports
from hl7_listener.client import send
from invites import overview
from invites.invitation import FINAL, EntryState
from invites.overview import InviteStatus
from invites.tables import outbox
from patient_records import tables
from patient_records.errors import RecordsError
from patient_records.model import Demographics

PATIENCE: Final = 120.0
"""Seconds without any progress after which the demo gives up on a step."""

_CONNECTIONS: Final = 8
_CHANNELS: Final = ("sms", "email", "letter")

_CONFIGURATION: Final = """\
# Written by `doorstep demo`: any free ports, and a look for new people every second.
[[listeners]]
name = "pas"
port = 0
[api]
port = 0
[join]
port = {join}
public_url = "http://127.0.0.1:{join}"
[invitations]
every = "1s"
"""


class DemoFellShort(Exception):
    """A step of the demo did not do what it must; the text says which."""


class Demo:
    """One run of the demo, in ``folder``; talks to the person on ``console``."""

    def __init__(self, folder: Path, patients: int, console: Console) -> None:
        self._folder = folder
        self._messages = feed(patients)
        self._console = console
        self._shortfalls: list[str] = []

    def run(self, *, stay: bool) -> int:
        """Show everything; gives the exit status. ``stay`` keeps the daemon up until Ctrl-C."""
        config = self._folder / "doorstep.toml"
        config.write_text(_CONFIGURATION.replace("{join}", str(_free_port())), "utf-8")
        self._console.print(f"[bold]doorstep demo[/bold]: everything it makes is in {self._folder}", soft_wrap=True)
        with _daemon(config) as process:
            ports = _ports(self._folder / "doorstep-data" / "ports.json", process)
            self._console.print(
                f"The daemon is up: MLLP on 127.0.0.1:{ports.listeners['pas']}, "
                f"health and metrics on http://127.0.0.1:{ports.api}/metrics",
                soft_wrap=True,
            )
            answers = self._feed(ports.listeners["pas"])
            house = build(load(config, {}))
            try:
                self._wait_for_deliveries(house, process)
                self._show(house, answers)
                self._travel(house)
                self._call(house, ports.api)
            finally:
                house.close()
            if self._shortfalls:
                for shortfall in self._shortfalls:
                    self._console.print(f"[red]fell short:[/red] {shortfall}")
                return 1
            if stay:
                self._stay(config, ports, process)
        return 0

    # ---- the feed ----------------------------------------------------------------------------------------------------

    def _feed(self, port: int) -> Counter[str]:
        """Send everything; the ambiguous ones after the people they name, whatever connection those came over."""
        first = [message for message in self._messages if message.kind is not Kind.AMBIGUOUS]
        then = [message for message in self._messages if message.kind is Kind.AMBIGUOUS]
        codes: Counter[str] = Counter()
        with self._progress() as bar:
            task = bar.add_task("sending the feed over MLLP", total=len(self._messages))
            for part in (first, then):
                codes.update(self._send(part, port, lambda: bar.advance(task)))
        wanted = Counter(message.answer for message in self._messages)
        if codes != wanted:
            self._shortfalls.append(f"acknowledgments were {dict(codes)}, not {dict(wanted)}")
        return codes

    def _send(self, messages: list[DemoMessage], port: int, advance: Callable[[], None]) -> dict[str, int]:
        summary = send(
            [message.raw for message in messages],
            "127.0.0.1",
            port,
            connections=_CONNECTIONS,
            on_answer=lambda _answer: advance(),
        )
        if summary.stopped:
            raise DemoFellShort(f"the feed could not be sent: {summary.stopped}")
        return summary.codes

    # ---- the wait ----------------------------------------------------------------------------------------------------

    def _wait_for_deliveries(self, house: House, process: subprocess.Popen[bytes]) -> None:
        """Watch the outbox until nobody is left to invite and everything is delivered."""
        wanted = sum(expected(self._messages)[channel] for channel in _CHANNELS)
        seen, since = -1, time.monotonic()
        with self._progress() as bar:
            task = bar.add_task("inviting and delivering", total=wanted)
            while True:
                status = _status(house)
                done = sum(count for states in status.entries.values() for s, count in states.items() if s in FINAL)
                bar.update(task, completed=done)
                if status.people.get("eligible", 0) == 0 and done >= wanted and _all_final(status):
                    return
                if done != seen:
                    seen, since = done, time.monotonic()
                if time.monotonic() - since > PATIENCE or process.poll() is not None:
                    self._shortfalls.append(f"only {done} of {wanted} invitations were delivered")
                    return
                time.sleep(0.1)

    # ---- the showing -------------------------------------------------------------------------------------------------

    def _show(self, house: House, codes: Counter[str]) -> None:
        status = _status(house)
        outcomes = _outcomes(house)
        self._console.print(self._funnel(status, outcomes, codes))
        spool = house.settings.delivery.spool.folder
        text = _newest(spool / "sms")
        mail = _newest(spool / "email")
        letter = _newest(spool / "letter")
        if text is None or mail is None or letter is None:
            self._shortfalls.append(f"the spool {spool} lacks an SMS, an email or a letter")
            return
        self._console.print(Panel(text.read_text("utf-8").strip(), title=f"One SMS: {text.name}"))
        self._console.print(Panel(_mail_text(mail), title=f"One email: {mail.name}"))
        self._console.print(f"[bold]One letter:[/bold] {letter}", soft_wrap=True)

    def _travel(self, house: House) -> None:
        """Send somebody all the way to their open record; then show a link that is good still."""
        spool = house.settings.delivery.spool.folder
        texts = _messages(spool / "sms")
        if not texts:
            return
        person = _person(house, texts[0].stem)
        journey = travel(_link(texts[0]), _born(person), person.names[0].family, spool / "email")
        self._console.print(Panel(journey.mail.strip(), title="The confirming email of a patient who joined"))
        for name, worked in journey.steps:
            self._console.print(f"  {'[green]done[/green]' if worked else '[red]not done[/red]'}  {name}")
        if journey.fell_short:
            self._shortfalls.append(f"joining: {journey.fell_short}")
        other = _person(house, texts[-1].stem)
        link = _link(texts[-1])
        self._console.print(f"[bold]A join link for you to try:[/bold] {link}", soft_wrap=True)
        self._console.print(
            f"Date of birth: {_born(other):%d %m %Y}. The mail with the next link comes to {spool}/email"
        )
        if not link or len(texts) < 2:  # noqa: PLR2004 (the first is spent)
            self._shortfalls.append("no SMS shows a join link that is good still")

    def _call(self, house: House, port: int) -> None:
        """Show how a System Client has a pair issued, and do the same."""
        made = caller(house, port)
        shortfall = made.shortfall() if made is not None else "nobody is there for whom the API could issue a pair"
        if shortfall:
            self._shortfalls.append(shortfall)
        if made is not None:
            self._console.print("[bold]A curl that issues a pair over the API:[/bold]", soft_wrap=True)
            self._console.print(made.curl, soft_wrap=True, markup=False, highlight=False)

    def _funnel(self, status: InviteStatus, outcomes: Counter[str], codes: Counter[str]) -> Table:
        must = expected(self._messages)
        table = Table(title="The funnel", title_justify="left")
        for heading, justify in (("step", "left"), ("people or messages", "right"), ("as the feed wants", "right")):
            table.add_column(heading, justify="left" if justify == "left" else "right")
        people, entries = status.people, status.entries
        invited = {channel: sum(entries.get(channel, {}).values()) for channel in _CHANNELS}
        delivered = sum(c for states in entries.values() for s, c in states.items() if s == EntryState.ACCEPTED)
        refused = codes["AE"] + codes["AR"]
        rows: list[tuple[str, int, int | None]] = [
            ("messages received", sum(codes.values()), must["received"]),
            ("  people created", outcomes["created"], must["created"]),
            ("  updated", outcomes["updated"], must["updated"]),
            ("  duplicates (answered again, applied once)", outcomes["duplicate"], must["duplicate"]),
            ("  held for a person to look at", outcomes["held"], must["held"]),
            ("  refused (AE or AR, kept in quarantine)", refused, must["refused"]),
            ("eligible", sum(invited.values()), must["eligible"]),
            *[(f"  invited by {channel}", invited[channel], must[channel]) for channel in _CHANNELS],
            ("  delivered", delivered, sum(must[channel] for channel in _CHANNELS)),
        ]
        for reason, count in sorted(people.items()):
            if reason not in {"invited", "eligible"}:
                rows.append((f"not invited: {reason.replace('_', ' ')}", count, must[reason]))
        for name, count, wanted in rows:
            if wanted is not None and count != wanted:
                self._shortfalls.append(f"{name.strip()}: {count}, not {wanted}")
            table.add_row(name, str(count), str(wanted))
        return table

    # ---- the end -----------------------------------------------------------------------------------------------------

    def _stay(self, config: Path, ports: Ports, process: subprocess.Popen[bytes]) -> None:
        port = ports.listeners["pas"]
        self._console.print(
            "\n[bold]It stays up until Ctrl-C.[/bold] Try:\n"
            f"  doorstep status --config {config}\n"
            f"  doorstep send FILE.hl7 --to 127.0.0.1:{port}\n"
            f"  curl http://127.0.0.1:{ports.api}/readyz\n"
            f"  the join site: http://127.0.0.1:{ports.join}/join",
            soft_wrap=True,
        )
        with contextlib.suppress(KeyboardInterrupt):
            process.wait()

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description:<28}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, console=self._console)


def demonstrate(patients: int, *, stay: bool) -> int:
    """Run the demo in a new temporary folder, which is left for looking at; gives the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="doorstep-demo-"))
    console = Console()
    try:
        return Demo(folder, patients, console).run(stay=stay)
    except DemoFellShort as error:
        console.print(f"[red]fell short:[/red] {error}")
        return 1


@contextlib.contextmanager
def _daemon(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The real daemon, as a process of its own; ended with the demo. Its log is beside the configuration."""
    log = config.with_name("daemon.log")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DOORSTEP_")}
    with log.open("wb") as stderr:
        process = subprocess.Popen(  # noqa: S603 (our own program)
            [sys.executable, "-m", "daemon", "serve", "--config", str(config)],
            stderr=stderr,
            cwd=config.parent,
            env=environ,
            start_new_session=True,  # Ctrl-C is the demo's to hear first
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ports(path: Path, process: subprocess.Popen[bytes]) -> Ports:
    began = time.monotonic()
    while time.monotonic() - began < PATIENCE and process.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            return msgspec.json.decode(path.read_bytes(), type=Ports)
        time.sleep(0.02)
    raise DemoFellShort(f"the daemon did not start: {path.parent.parent / 'daemon.log'} says why")


def _status(house: House) -> InviteStatus:
    try:
        with house.database.read() as connection:
            return overview.status(connection)
    except RecordsError as error:
        raise DemoFellShort(f"the database could not be read: {error}") from None


def _all_final(status: InviteStatus) -> bool:
    return all(state in FINAL for states in status.entries.values() for state in states)


def _outcomes(house: House) -> Counter[str]:
    """What became of the messages, from the journal."""
    table = tables.journal
    created = table.c.changes == "created"
    with house.database.read() as connection:
        rows = connection.execute(
            select(table.c.outcome, created, func.count(), func.sum(table.c.repeats)).group_by(table.c.outcome, created)
        ).all()
    counts: Counter[str] = Counter()
    for outcome, is_created, count, repeats in rows:
        name = ("created" if is_created else "updated") if outcome == "applied" else outcome
        counts[name] += count
        counts["duplicate"] += int(repeats or 0)
    return counts


def _messages(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if not file.name.startswith("."))


def _newest(folder: Path) -> Path | None:
    files = _messages(folder)
    return files[-1] if files else None


def _link(text: Path) -> str:
    return next((word for word in text.read_text("utf-8").split() if "/join#c=" in word), "")


def _person(house: House, reference: str) -> Demographics:
    """The person whom the message of that reference went to; unsealed, for a demo has nobody to protect."""
    with house.database.read() as connection:
        record_id = connection.scalar(select(outbox.c.record_id).where(outbox.c.reference == reference))
        return house.records.load(connection, [int(record_id or 0)])[int(record_id or 0)].record.demographics


def _born(person: Demographics) -> date:
    born = person.birth.full if person.birth is not None else None
    if born is None:
        raise DemoFellShort("somebody was invited without a full date of birth")
    return born


def _free_port() -> int:
    """A port that is free just now: links carry it, so it must be known before the daemon starts."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _mail_text(path: Path) -> str:
    mail = message_from_bytes(path.read_bytes(), policy=email_policy)
    body = mail.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    return f"From: {mail['From']}\nTo: {mail['To']}\nSubject: {mail['Subject']}\n\n{text}".strip()

"""How the daemon does, read from its database alone, for ``doorstep status``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, select

from invites import overview
from invites.overview import InviteStatus
from patient_records import tables
from patient_records.instants import from_micros, maybe_instant, to_micros
from patient_records.quarantine import WAITING

CERTIFICATE: Final = "certificate_expires."
"""What a daemon's report calls the end of a listener's certificate, in seconds since 1970, before its name."""
_ALIVE: Final = timedelta(seconds=15)
"""A daemon beats every 2 seconds; one that was not seen for so long is not there."""

_MOST_SENDERS: Final = 100


class DaemonSigns(Struct, frozen=True):
    """One run of the daemon: alive, stopped in good order, or gone without a word."""

    version: str
    started_at: datetime
    seen_at: datetime
    state: str
    report: dict[str, int | float | str]


class SenderSigns(Struct, frozen=True):
    """A sender: its last message and how many, over all daemons' runs.

    ``sequence_gaps`` is how often its sequence numbers (MSH-13) jumped, ``sequence_missing`` how many numbers did not
    come (each run's own count). ``silent_since`` is set while it is silent against its habit; ``usual_messages`` came
    in such a time in each of its last weeks but one.
    """

    listener: str
    sender: str
    last_at: datetime
    messages: int
    sequence_gaps: int = 0
    sequence_missing: int = 0
    last_gap_at: datetime | None = None
    silent_since: datetime | None = None
    usual_messages: int = 0


class CertificateSigns(Struct, frozen=True):
    """The end of the certificate that a running daemon's listener shows."""

    listener: str
    expires_at: datetime


class VitalSigns(Struct, frozen=True):
    """Everything that ``status`` shows. Rates are messages a second over the last minute and five."""

    daemons: list[DaemonSigns]
    messages_per_second_1m: float
    messages_per_second_5m: float
    messages: int
    quarantine_waiting: int
    senders: list[SenderSigns]
    certificates: list[CertificateSigns]
    invites: InviteStatus


def read(connection: Connection, now: datetime) -> VitalSigns:
    """Read the signs as of ``now`` (the database's clock)."""
    daemons = _daemons(connection, now)
    waiting = select(func.count()).where(tables.quarantine.c.state == WAITING)
    return VitalSigns(
        daemons=daemons,
        messages_per_second_1m=_rate(connection, now, timedelta(minutes=1)),
        messages_per_second_5m=_rate(connection, now, timedelta(minutes=5)),
        messages=connection.scalar(select(func.coalesce(func.sum(tables.senders.c.messages), 0))) or 0,
        quarantine_waiting=connection.scalar(waiting) or 0,
        senders=_senders(connection),
        certificates=_certificates(daemons),
        invites=overview.status(connection),
    )


class Flow(Struct, frozen=True):
    """The part of the signs that has no organisation's own numbers in it."""

    daemons: list[DaemonSigns]
    messages_per_second_1m: float
    messages_per_second_5m: float
    senders: list[SenderSigns]


def flow(connection: Connection, now: datetime) -> Flow:
    """Read only what the daemons do and who was heard."""
    return Flow(
        daemons=_daemons(connection, now),
        messages_per_second_1m=_rate(connection, now, timedelta(minutes=1)),
        messages_per_second_5m=_rate(connection, now, timedelta(minutes=5)),
        senders=_senders(connection),
    )


def _rate(connection: Connection, now: datetime, over: timedelta) -> float:
    """Journal ids begin with their time, so that the newest entries are a range of the primary key."""
    since = to_micros(now - over)
    first = (since // 1000 - 1_577_836_800_000) << 21  # see patient_records.ids
    count = connection.scalar(select(func.count()).where(tables.journal.c.id >= first)) or 0
    return round(count / over.total_seconds(), 2)


def _daemons(connection: Connection, now: datetime) -> list[DaemonSigns]:
    table = tables.daemons
    rows = connection.execute(select(table).order_by(table.c.seen_at.desc()).limit(5))
    return [
        DaemonSigns(
            version=row.version,
            started_at=from_micros(row.started_at),
            seen_at=from_micros(row.seen_at),
            state=_state(maybe_instant(row.stopped_at), from_micros(row.seen_at), now),
            report=msgspec.json.decode(row.report, type=dict[str, int | float | str]),
        )
        for row in rows
    ]


def _certificates(daemons: list[DaemonSigns]) -> list[CertificateSigns]:
    running = [daemon.report for daemon in daemons if daemon.state == "running"]
    return [
        CertificateSigns(key.removeprefix(CERTIFICATE), datetime.fromtimestamp(float(value), UTC))
        for report in running
        for key, value in report.items()
        if key.startswith(CERTIFICATE)
    ]


def _state(stopped_at: datetime | None, seen_at: datetime, now: datetime) -> str:
    if stopped_at is not None:
        return "stopped"
    return "running" if now - seen_at <= _ALIVE else "gone"


def _senders(connection: Connection) -> list[SenderSigns]:
    """Give a hundred senders: the silent ones first, whom the others would push out; then the last heard first."""
    table, silences = tables.senders, tables.sender_silences
    same = (silences.c.listener == table.c.listener) & (silences.c.sender == table.c.sender)
    statement = (
        select(
            table.c.listener,
            table.c.sender,
            func.max(table.c.last_at).label("last_at"),
            func.sum(table.c.messages).label("messages"),
            func.sum(table.c.sequence_gaps).label("gaps"),
            func.sum(table.c.sequence_missing).label("missing"),
            func.max(table.c.last_gap_at).label("gap_at"),
        )
        .outerjoin_from(table, silences, same)
        .group_by(table.c.listener, table.c.sender)
        .order_by(func.max(silences.c.since).is_(None), func.max(table.c.last_at).desc())
        .limit(_MOST_SENDERS)
    )
    silent = {(row.listener, row.sender): row for row in connection.execute(select(silences))}
    return [_sender(row, silent.get((row.listener, row.sender))) for row in connection.execute(statement)]


def _sender(row: Any, silence: Any) -> SenderSigns:
    return SenderSigns(
        row.listener,
        row.sender,
        from_micros(row.last_at),
        int(row.messages),
        int(row.gaps),
        int(row.missing),
        from_micros(row.gap_at) if row.gap_at else None,
        from_micros(silence.since) if silence is not None else None,
        silence.expected if silence is not None else 0,
    )

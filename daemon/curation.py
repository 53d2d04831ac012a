"""What commands put together on a house to work beside the daemon: spreadsheets, replays, the quarantine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from daemon.bootstrap import House, utc_now
from hl7_listener.arrival import Arrival, Settled
from hl7_listener.conformance_judge import ConformanceJudge
from hl7_listener.conformance_process import CheckingProcess
from hl7_listener.csv_import import LISTENER, CsvImport
from hl7_listener.options import ListenerOptions
from hl7_listener.replay import Replay
from hl7_listener.reprocessing import Also, Reprocessing, as_it_came
from hl7_listener.resubmission import Curator
from patient_records.audit import Actor, AuditEntry
from patient_records.audit_actions import Action, ActorKind
from patient_records.model import PatientRecord


def reprocessing(house: House, judged: Callable[[Arrival], Arrival] = as_it_came) -> Reprocessing:
    """What settles messages that come from no connection."""
    return Reprocessing(house.database, house.stores, house.telemetry, utc_now, judged)


def curator(house: House, login: str) -> Curator:
    """What works on the quarantine, in the name of that login."""
    return Curator(
        house.database,
        journal=house.stores.journal,
        quarantine=house.quarantine,
        audit=house.audit,
        reprocessing=reprocessing(house),
        listeners=_listeners(house),
        actor=Actor(ActorKind.OPERATOR, login),
        clock=utc_now,
    )


@contextmanager
def replay(house: House) -> Iterator[Replay]:
    """What applies stored messages again; those of enforcing listeners are checked again, in a process of their own."""
    judge = ConformanceJudge(CheckingProcess(time.monotonic), house.telemetry.internal_error)

    def judged(arrival: Arrival) -> Arrival:
        return judge.judged(arrival) if arrival.listener.enforces else arrival

    try:
        settling = reprocessing(house, judged)
        yield Replay(house.database, house.stores.journal, house.records, settling, _listeners(house))
    finally:
        judge.close()


def replayed(house: House, login: str) -> Also:
    """What each transaction of a replay leaves in the audit trail: how many messages that login had applied."""

    def tell(connection: Connection, settled: Sequence[Settled]) -> None:
        told = AuditEntry(Actor(ActorKind.OPERATOR, login), Action.MESSAGES_REPLAYED, detail={"count": len(settled)})
        house.audit.append(connection, [told], utc_now())

    return tell


def looked_at(house: House, login: str, record: PatientRecord) -> None:
    """Leave in the audit trail that this record was shown in clear to that login."""
    actor = Actor(ActorKind.OPERATOR, login)
    with house.database.begin() as connection:
        told = AuditEntry(actor, Action.RECORD_VIEWED, record.organisation, record.id)
        house.audit.append(connection, [told], utc_now())


def _listeners(house: House) -> dict[str, ListenerOptions]:
    """Every listener by its name in the journal, that of spreadsheets too (for the first organisation)."""
    first = house.settings.organisation
    of_csv = ListenerOptions(LISTENER, "", 0, first.code, ZoneInfo(first.timezone))
    return {LISTENER: of_csv} | {listener.name: listener for listener in house.listeners()}


def csv_import(house: House) -> CsvImport:
    """What imports spreadsheets: for each organisation, as a listener of its own would take its rows."""
    listeners = {
        one.code: ListenerOptions(LISTENER, "", 0, one.code, ZoneInfo(one.timezone))
        for one in house.settings.all_organisations
    }
    return CsvImport(reprocessing(house), listeners)

"""Finding a thousand people who may be invited among a million.

Only the eligibility table is filled, by the same bulk insert that fills it on the way of a message: it is all that the
look-up reads, and a million sealed records would take minutes to make. Two cases. *Scattered*: a thousand eligible
people among all the others, which is every day. *All*: everybody is eligible, which is the first day.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Final

from sqlalchemy import text

from benchmarks.report import Column, Row, Table, latencies
from benchmarks.workbench import POSTGRESQL, Workbench
from invites import repository
from invites.eligibility import ELIGIBLE, Reason
from patient_records.bulk import Row as Values
from patient_records.tables import metadata
from patient_records.unit_of_work import Database
from tests.support.daemon_process import ORGANISATION

WANTED: Final = 1000
_PAGE: Final = 100  # as a run takes them: InviteOptions.issue_batch
_CHUNK: Final = 10_000

_OTHERS: Final = (*([Reason.INVITED] * 12), *([Reason.UNDER_AGE] * 4), *([Reason.NO_CONTACT] * 3), Reason.DECEASED)
"""What becomes of a hospital's people, by twentieths: most have been invited."""

_COLUMNS: Final = (
    Column("database", "database"),
    Column("case", "eligible are"),
    Column("rows", "rows", ","),
    Column("found", "found", ","),
    Column("how", "asked for"),
    Column("first", "first ms", ",.1f"),
    Column("p50", "median ms", ",.1f"),
    Column("max", "max ms", ",.1f"),
)


def run(bench: Workbench) -> Table:
    """Fill and look, on each database."""
    rows = [
        row
        for database in bench.databases
        for case, scattered in (("scattered", True), ("all", False))
        for row in _case(bench, database, case, scattered)
    ]
    notes = ("SPEC 10: 1,000 eligible among 1,000,000 records in under 1 s.",)
    return Table("find_eligible", "Finding those who may be invited", _COLUMNS, rows, notes)


def _case(bench: Workbench, kind: str, case: str, scattered: bool) -> list[Row]:  # noqa: FBT001 (one of two cases)
    total, wanted = bench.scale.rows, min(WANTED, bench.scale.rows // 5)
    daemon = bench.daemon(kind)
    database = Database(daemon.database_url)
    try:
        bench.say(f"find_eligible: {total:,} rows on {kind}, {case}")
        _fill(database, total, wanted if scattered else total)
        ways = {"one page": lambda: _page(database, wanted), f"pages of {_PAGE}": lambda: _pages(database, wanted)}
        told: Row = {"database": kind, "case": case, "rows": total, "found": wanted}
        return [told | {"how": how} | _timed(look, wanted, bench.scale.repeats) for how, look in ways.items()]
    finally:
        database.close()
        bench.discard(daemon)


def _fill(database: Database, total: int, eligible: int) -> None:
    metadata.create_all(database.engine)
    chosen = set(Random(1).sample(range(1, total + 1), eligible))
    for first in range(1, total + 1, _CHUNK):
        with database.begin() as connection:
            repository.put_eligibility(connection, _rows(range(first, min(first + _CHUNK, total + 1)), chosen))
    if database.dialect == POSTGRESQL.lower():
        with database.begin() as connection:
            connection.execute(text("ANALYZE eligibility"))  # as autovacuum would have by then


def _rows(ids: range, chosen: set[int]) -> Iterator[Values]:
    for number in ids:
        state = ELIGIBLE if number in chosen else _OTHERS[number * 7 % len(_OTHERS)].value
        yield number, ORGANISATION, state, "" if state == ELIGIBLE else state, "2026-03-01"


def _page(database: Database, wanted: int) -> int:
    with database.read() as connection:
        return len(repository.eligible_page(connection, ORGANISATION, 0, wanted))


def _pages(database: Database, wanted: int) -> int:
    """Look as a run does, a transaction for each page."""
    found: list[int] = []
    while len(found) < wanted:
        with database.read() as connection:
            after = found[-1] if found else 0
            page = repository.eligible_page(connection, ORGANISATION, after, min(_PAGE, wanted - len(found)))
        if not page:
            break
        found += page
    return len(found)


def _timed(look: Callable[[], int], wanted: int, repeats: int) -> Row:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        found = look()
        times.append(1e3 * (time.perf_counter() - began))
        if found != wanted:
            raise RuntimeError(f"{found:,} of {wanted:,} were found")
    spread = latencies(times)
    return {"first": times[0], "p50": spread.p50, "max": spread.longest}

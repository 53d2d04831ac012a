"""Two people, or a person and a replay, deal with one stored message at the same time: one of them does.

The first is held in its transaction, all done and nothing committed, until the second has chosen the message and
waits for its turn. So every run has the same order of events, on both databases.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

import pytest
from sqlalchemy import Connection, func, select, text

from hl7_listener.arrival import Settled
from hl7_listener.replay import PASSED_OVER
from hl7_listener.resubmission import NotWaiting
from patient_records import tables
from patient_records.unit_of_work import POSTGRESQL
from tests.support.desk import A28, Desk, held_until_now
from tests.support.patience import SAFETY, eventually

Act = Callable[[Desk, Settled], str]


def replayed(desk: Desk, _held: Settled) -> str:
    return str(desk.replay.run(since=None, statuses=PASSED_OVER).outcomes)


def resubmitted(desk: Desk, held: Settled) -> str:
    try:
        return desk.curator.resubmit(held.journal_id, []).outcome
    except NotWaiting as error:
        return str(error)


def discarded(desk: Desk, held: Settled) -> str:
    try:
        desk.curator.discard(held.journal_id, "")
    except NotWaiting as error:
        return str(error)
    return "discarded"


TOOK_IT: Final[dict[Act, str]] = {replayed: "{'applied': 1}", resubmitted: "applied", discarded: "discarded"}
LEFT_IT: Final[dict[Act, str]] = {
    replayed: "{'decided_meanwhile': 1}",
    resubmitted: "somebody else",
    discarded: "waits no more",
}
ENDED_AS: Final[dict[Act, str]] = {replayed: "resubmitted", resubmitted: "resubmitted", discarded: "discarded"}


@pytest.fixture
def desks(database_url: str) -> Iterator[tuple[Desk, Desk]]:
    """Two processes' views of one database."""
    one = Desk(database_url)
    other = Desk(database_url, beside=one)
    yield one, other
    one.database.close()
    other.database.close()


@pytest.mark.parametrize("second", [replayed, resubmitted, discarded])
@pytest.mark.parametrize("first", [replayed, resubmitted, discarded])
def test_of_two_at_once_one_deals_with_a_message(desks: tuple[Desk, Desk], first: Act, second: Act) -> None:
    one, other = desks
    record_id = one.receive(A28).record_id  # known already: what follows makes nobody, so no unique key helps
    assert record_id is not None
    held = held_until_now(one, A28.replace(b"Archer", b"Bowman").replace(b"|1|P", b"|2|P"))
    other.listeners.update(one.listeners)
    entries = one.entries()
    took, left = in_turn(one, lambda: first(one, held), other, lambda: second(other, held))
    assert took == TOOK_IT[first]
    assert LEFT_IT[second] in left
    applied = 0 if first is discarded else 1
    assert one.entries() == entries + applied
    assert one.family(record_id) == ("Bowman, Una" if applied else "Archer, Una")
    [entry] = one.curator.page(state=None, sender="", after=0, size=10)
    assert entry.state == ENDED_AS[first]


def test_of_two_replays_at_once_one_applies_what_was_ignored(desks: tuple[Desk, Desk]) -> None:
    """Such a message waits in no quarantine: nothing but its journal entry says that it was dealt with."""
    one, other = desks
    one.receive(A28)
    ignored = held_until_now(one, A28.replace(b"Archer", b"Bowman").replace(b"|1|P", b"|2|P"))
    other.listeners.update(one.listeners)
    with one.database.begin() as connection:
        connection.execute(tables.quarantine.delete())
        mine = tables.journal.c.id == ignored.journal_id
        connection.execute(tables.journal.update().where(mine).values(outcome="ignored"))
    told = in_turn(one, lambda: replayed(one, ignored), other, lambda: replayed(other, ignored))
    assert told == (TOOK_IT[replayed], LEFT_IT[replayed])
    with one.database.read() as connection:
        again = select(func.count()).where(tables.journal.c.replay_of == ignored.journal_id)
        assert connection.scalar(again) == 1


def in_turn(one: Desk, first: Callable[[], str], other: Desk, second: Callable[[], str]) -> tuple[str, str]:
    """Do both at once, the first one's commit after the second one waits; gives what each said."""
    done, waits = threading.Event(), threading.Event()
    begin, begin_other = one.database.begin, other.database.begin

    @contextmanager
    def held_back() -> Iterator[Connection]:
        with begin() as connection:
            yield connection
            done.set()
            assert waits.wait(SAFETY)
            if one.database.dialect == POSTGRESQL:
                eventually(lambda: is_waited_for(one), "the second to wait for a lock")

    @contextmanager
    def late() -> Iterator[Connection]:
        waits.set()
        with begin_other() as connection:
            yield connection

    one.database.begin = held_back  # type: ignore[method-assign]
    other.database.begin = late  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as threads:
        winner = threads.submit(first)
        assert done.wait(SAFETY)
        loser = threads.submit(second)
        found = winner.result(SAFETY), loser.result(SAFETY)
    one.database.begin, other.database.begin = begin, begin_other  # type: ignore[method-assign]
    return found


def is_waited_for(desk: Desk) -> bool:
    """Whether somebody on this PostgreSQL database waits for a lock."""
    waiting = text("SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = :d")
    with desk.database.engine.connect() as connection:
        return bool(connection.scalar(waiting, {"d": desk.database.engine.url.database}))

"""How long wrong answers take at the join site, by what is wrong: an onlooker must not learn it from the time.

Each kind of wrong answer is given the same number of times, in an order drawn by lot, so that whatever else the machine
does falls on all alike; between the pairs of kinds only the code differs. What is timed is the whole transaction with
its commit. Logins are timed too, with an address that has an account and one that has none: there the derivation is
nearly all of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import date
from itertools import count
from random import Random
from typing import Final

from sqlalchemy import update

from benchmarks.report import Column, Row, Table, latencies
from benchmarks.workbench import Workbench
from invites.access_token import AccessToken, draw
from invites.tables import access_tokens
from patient_records.passwords import CURRENT
from tests.support.accounts import ADDRESS, BORN, Registry
from tests.support.people import DEAD, House

_WRONG_DAY: Final = date(1970, 1, 1)
_DATES_A_PAIR: Final = 4  # one fewer than end it
_LOGINS: Final = 8  # fewer than the limit of one address
_COLUMNS: Final = (
    Column("database", "database"),
    Column("answer", "wrong is"),
    Column("tries", "tries", ","),
    Column("p50", "median ms", ",.2f"),
    Column("p99", "p99 ms", ",.2f"),
    Column("max", "max ms", ",.2f"),
    Column("ratio", "of the first", ",.3f"),
)

Try = Callable[[int], object]


def run(bench: Workbench) -> Table:
    """Time every kind of wrong answer, on each database."""
    rows = [row for kind in bench.databases for row in _rows(bench, kind)]
    notes = ("The times of one group should lie on each other: differences far below the spread tell nobody anything.",)
    return Table("wrong_answers", "What the time of a wrong answer tells", _COLUMNS, rows, notes)


def _rows(bench: Workbench, kind: str) -> list[Row]:
    house = House(bench.daemon(kind).database_url)
    try:
        registry = Registry(house, parameters=CURRENT)
        tries = max(8, min(300, bench.scale.rows // 500))
        answered = _timed(kind, _challenges(registry, tries), tries)
        registry.register(registry.somebody(0))
        return answered + _timed(kind, _logins(registry), _LOGINS)
    finally:
        house.close()


def _challenges(registry: Registry, tries: int) -> dict[str, Try]:
    people = count(1)
    good = [registry.pair(registry.somebody(next(people))) for _ in range(-(-tries // _DATES_A_PAIR))]
    dead_id = registry.somebody(next(people))
    dead = registry.pair(dead_id)
    registry.house.change(dead_id, death=DEAD)
    ended = registry.pair(registry.somebody(next(people)))
    newest = max(int(str(row["id"])) for row in registry.house.rows("access_tokens"))
    with registry.house.database.begin() as connection:
        over = {"ended_at": 1, "end_reason": "expired", "wrapped_key": None}
        connection.execute(update(access_tokens).where(access_tokens.c.id == newest).values(**over))

    def ask(pair: AccessToken, born: date = BORN) -> object:
        address = os.urandom(8).hex()  # each from elsewhere, so that no limit is in the way
        return registry.prove(pair, born, address)

    return {
        "code unknown": lambda _at: ask(draw(1, os.urandom)[0]),
        "token another's": lambda at: ask(AccessToken(good[at % len(good)].code, draw(1, os.urandom)[0].token)),
        "date of birth": lambda at: ask(good[at // _DATES_A_PAIR], _WRONG_DAY),
        "pair ended": lambda _at: ask(ended),
        "person dead": lambda _at: ask(dead),
    }


def _logins(registry: Registry) -> dict[str, Try]:
    def log_in(email: str) -> object:
        return registry.accounts.login.log_in(email, "not the password", os.urandom(8).hex())

    return {
        "login: address unknown": lambda at: log_in(f"nobody{at}@example.net"),
        "login: password": lambda _at: log_in(ADDRESS),
    }


def _timed(kind: str, kinds: dict[str, Try], tries: int) -> list[Row]:
    """Try every kind so often, in an order drawn by lot."""
    order = [(name, at) for name in kinds for at in range(tries)]
    Random(7).shuffle(order)
    times: dict[str, list[float]] = {name: [] for name in kinds}
    for name, at in order:
        began = time.perf_counter()
        kinds[name](at)
        times[name].append(time.perf_counter() - began)
    spreads = {name: latencies(taken) for name, taken in times.items()}
    first = next(iter(spreads.values())).p50
    return [
        {
            "database": kind,
            "answer": name,
            "tries": tries,
            "p50": spread.p50 * 1000,
            "p99": spread.p99 * 1000,
            "max": spread.longest * 1000,
            "ratio": spread.p50 / first if first else 0.0,
        }
        for name, spread in spreads.items()
    ]

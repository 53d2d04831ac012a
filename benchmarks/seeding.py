"""People put into a database before the clock starts, by the daemon's own reading, deciding and storing.

It is the whole way of a message but for the socket and the fsync of each small batch: records, identifiers, contact
points, eligibility and journal are what an ingest would have left, only a thousand messages to a transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.feed import ALL, a28
from benchmarks.own_process import in_own_process
from daemon.bootstrap import House, build, utc_now
from daemon.settings import load
from hl7_listener.adt import interpret
from hl7_listener.arrival import Arrival, Settled
from hl7_listener.batch import Batch
from hl7_listener.message import read
from hl7_listener.sender_profile import SenderProfile

_TRANSACTION: Final = 1000


class _Nobody:
    """Who is told: the people are put in without a connection."""

    abandoned = False

    def settled(self, settled: Settled) -> None:
        """Send no answer."""

    def failed(self, arrival: Arrival) -> None:
        """Close nothing; the error reaches the caller."""

    def give_up(self) -> None:
        """There is nothing to give up."""


def house_of(config: Path) -> House:
    """Put a daemon's house together in this process, as ``serve`` would, migrated; the caller closes it."""
    return build(load(config, {}))


def seed(config: Path, first: int, people: Mapping[str, int]) -> None:
    """Put people into the database of that configuration, in a process of its own.

    ``first`` is the serial of the first; ``people`` says how many, by how they can be reached.
    """
    in_own_process(_seed, config, first, dict(people))


def seed_all(config: Path, first: int, count: int) -> None:
    """Put ``count`` people into the database who can be reached in every way."""
    seed(config, first, {ALL: count})


def _seed(config: Path, first: int, people: dict[str, int]) -> None:
    house = house_of(config)
    try:
        house.invites.sweep.run()  # walks through everybody once under a new policy: now, while there is nobody
        for reach, count in people.items():
            for start in range(first, first + count, _TRANSACTION):
                _store(house, range(start, min(start + _TRANSACTION, first + count)), reach)
            first += count
    finally:
        house.close()


def _store(house: House, serials: range, reach: str) -> None:
    now, listener, profile = utc_now(), house.listeners()[0], SenderProfile()
    arrivals = []
    for serial in serials:
        raw = a28(serial, reach)
        message = read(raw)
        meaning = interpret(message, listener, profile, now)
        arrivals.append(Arrival(listener, now, 0, raw, message.header, meaning, _Nobody()))
    with house.database.begin() as connection:
        settled = Batch(house.stores, connection, now).settle(arrivals)
    if any(one.outcome != "applied" for one in settled):
        raise RuntimeError("a person could not be put in")
